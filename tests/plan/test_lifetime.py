"""What a report leaves behind: nothing holds the guest, so that its descriptors close with it."""

from __future__ import annotations

import gc
import os
import weakref

import pytest

import guestfix

GUESTS = sorted(one for one in os.listdir("testdata/guests") if os.path.isdir(f"testdata/guests/{one}"))
MOST_GROWTH = 4 << 20
"""Bytes that a process may grow by over eighty reports: plans alone, held for each, would be eleven million."""


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


def test_a_hundred_reports_hold_no_more_than_twenty():
    """Caches are bounded: neither memory nor descriptors grow with the guests that one process has looked at."""
    pack, seen = guestfix.load_pack(), {}
    for number in range(1, 101):
        name = GUESTS[number % len(GUESTS)]
        guestfix.make_plan(guestfix.open_guest(f"dir:testdata/guests/{name}/root"), pack, "kvm-virtio")
        if number in (20, 100):
            gc.collect()
            with open("/proc/self/statm", encoding="ascii") as stream:
                pages = int(stream.read().split()[1])
            seen[number] = pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd"))
    assert seen[100][0] - seen[20][0] < MOST_GROWTH
    assert seen[100][1] == seen[20][1]
