"""Reading targets: every key told by a source, what differs by processor, what is refused, and a pack on top of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.base.errors import PackError
from guestfix.pack.cache import load_pack

HEAD = 'id: own\nextends: kvm-virtio\ntitle: Own\nsource: "here"\ndate: 2026-11-30\n'
REFUSAL = """\
  - id: r{n}
    when: {when}
    says: "x"
    remedy: "y"
    severity: {severity}
    source: "here"
    date: 2026-11-30
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def pack_of(tmp_path: Path, text: str) -> Path:
    root = tmp_path / "own"
    (root / "targets").mkdir(parents=True)
    (root / "pack.yaml").write_text("id: own\nversion: '1'\nextends: guestfix\n")
    (root / "targets/own.yaml").write_text(HEAD + text)
    return root


def refusal(n: int = 0, when: str = "os.family == linux", severity: str = "warning") -> str:
    return REFUSAL.format(n=n, when=when, severity=severity)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("mtu: 1400\n", "no source tells 'mtu'"),
        ("mtu: wide\n", "whole number"),
        ("addresses: bootp\n", "'addresses' can't be 'bootp'"),
        ("sources:\n  - {tells: [mtu], source: here, date: 2026-11-30}\n", "this tells 'mtu'"),
        ("sources:\n  - {tells: [arch], source: here, date: today}\n", "must be a date like 2026-11-25, or unread"),
        ("sources:\n  - {tells: [title], source: here, date: 2026-11-30}\n", "this tells 'title'"),
        ("windows_clock: noon\n", "'windows_clock' can't be 'noon'"),
        ("by_arch:\n  s390x: {console: ttyS0}\n", "'s390x' is not in 'arch'"),
        ("by_arch:\n  aarch64: {nic: e1000}\n", "has no key 'nic'"),
        ("by_arch: [aarch64]\n", "must be a mapping"),
        ("refuses:\n" + refusal(when="os.familie == linux"), "no fact 'os.familie'"),
        ("refuses:\n" + refusal(when="os.family == dos"), "os.family can't be 'dos'"),
        ("refuses:\n" + refusal(severity="fatal"), "'severity' can't be 'fatal'"),
        ("refuses:\n  - {id: r, says: x}\n", "lacks the key 'when'"),
        ("refuses:\n" + "".join(map(refusal, range(65))), "at most 64"),
        ("colour: red\n", "has no key 'colour'"),
    ],
)
def test_a_mistake_is_told_in_its_file(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(PackError) as caught:
        load_pack(pack_of(tmp_path, text))
    assert any(what in one.what and "own.yaml" in one.where for one in caught.value.problems)


def test_a_target_on_top_keeps_the_sources_beneath_and_adds_its_own(tmp_path: Path) -> None:
    text = "mtu: 1400\nrefuses:\n" + refusal() + "sources:\n  - {tells: [mtu], source: here, date: 2026-11-30}\n"
    root = pack_of(tmp_path, text)
    for _ in range(2):  # read, then from the cache
        one = load_pack(root).targets["own"]
        assert (one.mtu, one.data_sources, [each.id for each in one.refuses]) == (
            1400,
            ("NoCloud", "ConfigDrive"),
            ["r0"],
        )
        assert one.sources[0]["tells"] == ["mtu"] and len(one.sources) > 1


def test_a_target_is_as_it_is_for_a_processor(tmp_path: Path) -> None:
    one = load_pack().targets["kvm-virtio"]
    arm = one.on("aarch64")
    assert (arm.console, arm.firmware) == ("ttyAMA0,115200n8", ("uefi",))
    assert one.on("x86_64") is one and one.on("") is one


def test_a_target_is_as_it_is_for_a_windows() -> None:
    """Who makes machines of libvirt, Proxmox VE and OpenStack gives a Windows local time, and others UTC."""
    targets = load_pack().targets
    for name in ("kvm-virtio", "proxmox", "openstack", "cloudstack", "incus", "ibm-vpc"):
        assert (targets[name].on("x86_64", "windows").clock, targets[name].on("x86_64", "linux").clock) == (
            "localtime",
            "utc",
        ), name
    for name in ("aws-nitro", "gce", "azure", "alibaba"):
        assert targets[name].on("x86_64", "windows") is targets[name]
    arm = targets["kvm-virtio"].on("aarch64", "windows")
    assert (arm.console, arm.clock) == ("ttyAMA0,115200n8", "localtime")


def test_what_nobody_read_is_marked_and_has_no_date(tmp_path: Path) -> None:
    """A source from memory can't have a date of reading, and one that was not read says from where it is known."""
    text = "mtu: 1400\nsources:\n  - {tells: [mtu], source: from memory, date: unread}\n"
    assert load_pack(pack_of(tmp_path, text)).targets["own"].sources[0]["date"] == "unread"
    for one in load_pack().targets.values():
        said = [(one.source, one.date), *((refusal.source, refusal.date) for refusal in one.refuses)]
        said += [(str(told["source"]), str(told["date"])) for told in one.sources]
        for source, date in said:
            assert ("from memory" in source) == (date == "unread"), f"{one.id}: {source}, {date}"
            assert "could not be read" not in source or date == "unread", f"{one.id}: {source}"
