"""The operator's folder of drivers, on hosts where a part of it can't be read or leads elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem
from pyfakefs.helpers import set_uid

from guestfix.actions import payload
from guestfix.actions.payload import open_payload
from guestfix.base.errors import UsageError

ROOT = "/srv/virtio"


@pytest.fixture
def host(fs: FakeFilesystem) -> Iterator[FakeFilesystem]:
    for name in ("viostor/w10/amd64/viostor.inf", "viostor/w10/amd64/viostor.sys", "NetKVM/netkvm.inf"):
        fs.create_file(f"{ROOT}/{name}", contents=name)
    fs.create_file("/etc/shadow", contents="secret")
    yield fs
    set_uid(0)


def test_every_file_is_there_whatever_the_link_to_the_folder(host: FakeFilesystem) -> None:
    host.create_symlink("/home/drivers", ROOT)
    found = open_payload("/home/drivers")
    assert found.files == ("NetKVM/netkvm.inf", "viostor/w10/amd64/viostor.inf", "viostor/w10/amd64/viostor.sys")
    assert found.read("NetKVM/netkvm.inf") == b"NetKVM/netkvm.inf"


def test_links_may_not_lead_out_of_the_folder(host: FakeFilesystem) -> None:
    host.create_symlink(f"{ROOT}/near.inf", "NetKVM/netkvm.inf")
    host.create_symlink(f"{ROOT}/far.inf", "/etc/shadow")
    host.create_symlink(f"{ROOT}/round", "..")
    found = open_payload(ROOT)
    assert found.read("near.inf") == b"NetKVM/netkvm.inf" and not [name for name in found.files if "round/" in name]
    with pytest.raises(UsageError, match="leads out of the payload's folder"):
        found.read("far.inf")


def test_a_folder_that_can_not_be_read_is_told_and_not_left_out(host: FakeFilesystem) -> None:
    os.chmod(ROOT, 0o311)  # os.walk of pyfakefs takes such a folder for a file where it is not the first
    set_uid(1000)
    with pytest.raises(UsageError, match="can't read a folder of the payload: Permission denied") as told:
        open_payload(ROOT)
    assert told.value.where == ROOT


def test_a_file_that_can_not_be_read_or_is_gone_is_told(host: FakeFilesystem) -> None:
    os.chmod(f"{ROOT}/NetKVM/netkvm.inf", 0)
    found = open_payload(ROOT)
    set_uid(1000)
    with pytest.raises(UsageError, match="can't read a file of the payload: Permission denied"):
        found.read("NetKVM/netkvm.inf")
    set_uid(0)
    os.unlink(f"{ROOT}/viostor/w10/amd64/viostor.inf")
    with pytest.raises(UsageError, match="No such file"):
        found.read("viostor/w10/amd64/viostor.inf")


def test_a_payload_has_bounds(host: FakeFilesystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload, "MAX_FILES", 2)
    with pytest.raises(UsageError, match="more than 2 files"):
        open_payload(ROOT)


@pytest.mark.parametrize(("place", "said"), [("/nowhere", "No such file"), ("/etc/shadow", "not a readable ISO")])
def test_what_is_no_payload(place: str, said: str, host: FakeFilesystem) -> None:
    with pytest.raises(UsageError, match=said):
        open_payload(place)
