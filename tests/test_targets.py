"""Every target against every bundled guest and some Windows; what each says of itself, and what it refuses."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

import pytest

import guestfix
from guestfix.base.record import replace
from guestfix.cases.runner import plan_case, read_case
from guestfix.pack.cache import load_pack
from guestfix.pack.targets import SOURCED
from tests.build import make_guests
from tests.build.facts import hold_to_the_table

PACK = load_pack()
TARGETS = sorted(PACK.targets)
GUESTS = make_guests.GUESTS
WINDOWS = Path(__file__).resolve().parents[1] / "rules/os/windows-server/cases"

MODULES = {
    "ahci", "e1000", "e1000e", "ena", "gve", "hv_netvsc", "hv_storvsc", "hv_vmbus", "nvme", "pci_hyperv", "sd_mod",
    "virtio_blk", "virtio_net", "virtio_pci", "virtio_scsi", "vmw_pvscsi", "vmxnet3", "xen-blkfront", "xen-netfront",
}  # fmt: skip
"""Names of modules as kernel.org's Makefiles have them; one that is mistyped would block every guest."""

SERVICES = {
    "storage": {
        "atapi", "intelide", "lsi_sas", "lsi_scsi", "msahci", "pciide", "pvscsi", "storahci", "storflt", "stornvme",
        "storvsc", "symc8xx", "symmpi", "vioscsi", "viostor", "vmbus", "xenvbd",
    },
    "network": {
        "e1express", "e1g60", "e1iexpress", "ena", "gvnic", "netkvm", "netvsc", "pcnet", "rtl8139", "vmxnet3ndis5",
        "vmxnet3ndis6", "xennet",
    },
}  # fmt: skip

STOPS = {
    "azure-nvme": "pci_hyperv",
    "gce-nvme": "gve",
    "kvm-sata": "e1000e",
}
"""A module that the bundled guests' kernels really lack, as they have but a few."""
BIOS_ONLY = ("aws-xen", "hyperv-gen1")


@pytest.fixture(autouse=True)
def facts_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    hold_to_the_table(monkeypatch)


@functools.cache
def plan_of(name: str, target: str) -> guestfix.Plan:
    return guestfix.make_plan(guestfix.open_guest(str(GUESTS / name)), PACK, target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", sorted(make_guests.KERNELS))
def test_a_bundled_guest_on_every_target(name: str, target: str) -> None:
    plan = plan_of(name, target)
    blockers = {one.code: one for one in plan.findings if one.severity == "blocker"}
    assert all(one.evidence and one.remedy for one in blockers.values())
    assert [one.rule for one in plan.decisions if one.outcome == "failed"] == []
    assert not any(one.outcome == "undecided" for one in plan.decisions)
    if target in STOPS:
        assert len(blockers) == 1 and STOPS[target] in next(iter(blockers.values())).summary
    elif name == "ubuntu-22.04" and target in BIOS_ONLY:
        assert set(blockers) == {"GF-BOOT-FIRMWARE"}
    else:
        assert blockers == {}
        assert not [one for one in plan.walk.after.steps if one.outcome == "stops"]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["2008-r2", "2022"])
def test_a_windows_on_every_target(name: str, target: str) -> None:
    case = read_case(WINDOWS / name)
    plan = plan_case(replace(case, target=target), PACK)
    blockers = [one for one in plan.findings if one.severity == "blocker"]
    assert all(one.evidence and one.remedy for one in blockers)
    assert [one.rule for one in plan.decisions if one.outcome == "failed"] == []


@pytest.mark.parametrize("target", [one for one in TARGETS if one not in STOPS])
def test_a_guest_is_changed_for_a_target_once(target: str, tmp_path: Path) -> None:
    folder = tmp_path / "debian-12"
    shutil.copytree(GUESTS / "debian-12", folder, symlinks=True)
    plan = plan_of("debian-12", target)
    assert plan.changes
    plan = guestfix.make_plan(guestfix.open_guest(str(folder)), PACK, target)
    guestfix.apply_plan(guestfix.open_writable(str(folder)), plan)
    assert guestfix.make_plan(guestfix.open_guest(str(folder)), PACK, target).changes == ()


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_names_drivers_that_there_are_and_says_who_says_so(target: str) -> None:
    one = PACK.targets[target]
    assert {*one.drivers["storage"], *one.drivers["network"]} <= MODULES
    for phase, known in SERVICES.items():
        named = {word.strip(" ?") for item in one.windows_drivers[phase] for word in item.split("|")}
        assert named | set(one.windows_offers.get(phase, ())) <= known
    assert one.arch and one.data_sources and one.agents
    said = {name for source in one.sources for name in source["tells"]}  # type: ignore[attr-defined]
    assert {name for name in SOURCED if name != "agents" and getattr(one, name)} <= said
    assert all("https://" in str(source["source"]) for source in one.sources if source["date"] != "unread")
    assert len({refusal.id for refusal in one.refuses}) == len(one.refuses)


FEDORA = 'ID=fedora\nVERSION_ID="40"\n'
SMALL = "disks: [{device: /dev/sda, size: 10737418240, partitions: [{device: /dev/sda1, fstype: ext4}]}]"
LARGE = SMALL.replace("10737418240", "3298534883328")
TWO = SMALL[:-1] + ", {device: /dev/sdb, size: 1}]"


S390X = b"\x7fELF\x02\x02\x01" + bytes(9) + b"\0\x02\0\x16"


def elf(machine: int, wide: bool) -> bytes:
    return b"\x7fELF" + bytes((2 if wide else 1, 1, 1)) + bytes(9) + b"\x02\0" + machine.to_bytes(2, "little")


@pytest.mark.parametrize(
    ("target", "refusal", "files", "disks", "codes"),
    [
        ("oci", "one disk", {}, TWO, ["GF-TARGET-REFUSES"]),
        ("oci", "400 GB", {}, LARGE, ["GF-TARGET-REFUSES"]),
        ("oci", "", {}, SMALL, []),
        ("oci", "", {}, "", []),
        ("ibm-vpc", "cloud-init", {}, SMALL, ["GF-TARGET-REFUSES"]),
        ("ibm-vpc", "", {"usr/bin/cloud-init": b"#!"}, SMALL, []),
        ("ibm-vpc", "250 GB", {"usr/bin/cloud-init": b"#!"}, LARGE, ["GF-TARGET-REFUSES"]),
        ("alibaba", "cloud-init", {}, SMALL, ["GF-TARGET-REFUSES"]),
        ("digitalocean", "100 GB", {"usr/bin/cloud-init": b"#!"}, LARGE, ["GF-TARGET-REFUSES"]),
        ("digitalocean", "", {"usr/bin/cloud-init": b"#!"}, SMALL, []),
        ("vultr", "one disk", {}, TWO, ["GF-TARGET-REFUSES"]),
        ("hyperv-gen1", "2 TB", {}, LARGE, ["GF-TARGET-REFUSES"]),
        ("hyperv-gen2", "64-bit", {"bin/sh": elf(3, False)}, SMALL, ["GF-TARGET-REFUSES"]),
        ("hyperv-gen2", "", {"bin/sh": elf(62, True)}, SMALL, []),
        ("hyperv-gen2", "", {"bin/sh": elf(183, True)}, SMALL, []),
        ("vmware", "aarch64", {"bin/sh": elf(183, True)}, SMALL, ["GF-TARGET-ARCH"]),
        ("aws-nitro", "", {"bin/sh": elf(183, True)}, SMALL, []),
        (
            "aws-nitro",
            "s390x",
            {"bin/sh": b"\x7fELF\x02\x02\x01" + bytes(9) + b"\0\x02\0\x16"},
            SMALL,
            ["GF-TARGET-ARCH"],
        ),
        ("aws-xen", "", {"bin/sh": elf(3, False)}, SMALL, []),
    ],
)
def test_what_a_target_refuses(
    tmp_path: Path, target: str, refusal: str, files: dict[str, bytes], disks: str, codes: list[str]
) -> None:
    for name, data in {
        "etc/os-release": FEDORA.encode(),
        "etc/fstab": b"/dev/sda1 / ext4 defaults 0 1\n",
        **files,
    }.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    described = tmp_path / "disks.yaml"
    described.write_text(disks or "disks: []")
    guest = guestfix.open_guest(str(tmp_path / "root"), disks=str(described) if disks else None)
    plan = guestfix.make_plan(guest, PACK, target)
    found = [one for one in plan.findings if one.code.startswith("GF-TARGET")]
    assert [one.code for one in found] == codes
    assert all(refusal in one.summary and one.evidence and one.remedy for one in found)
