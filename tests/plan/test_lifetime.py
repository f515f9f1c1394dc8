"""What a report leaves behind: nothing holds the guest, so that its descriptors close with it."""

from __future__ import annotations

import gc
import os
import weakref

import pytest

import guestfix

GUESTS = sorted(os.listdir("testdata/guests"))


@pytest.mark.parametrize("name", GUESTS)
def test_a_guest_goes_with_its_last_name(name):
    """Without the collector of cycles: a thousand reports in one process must not hold a thousand guests."""
    pack, before = guestfix.load_pack(), len(os.listdir("/proc/self/fd"))
    guestfix.make_plan(guestfix.open_guest(f"dir:testdata/guests/{name}/root"), pack, "kvm-virtio")
    gc.collect()
    gc.disable()
    try:
        guest = guestfix.open_guest(f"dir:testdata/guests/{name}/root")
        plan = guestfix.make_plan(guest, pack, "kvm-virtio")
        held = weakref.ref(guest)
        del guest
        assert held() is None and plan.target == "kvm-virtio"
        assert len(os.listdir("/proc/self/fd")) <= before
    finally:
        gc.enable()
