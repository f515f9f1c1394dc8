"""Every hive that a plan changes is read alike by hivex and regipy, and is sound by a check of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.apply.apply import apply_plan
from guestfix.backends.directory import DirectoryGuest
from guestfix.base.guest import Disk, Disks, Volume
from guestfix.formats.windows import bcd
from guestfix.formats.windows.regf import Hive
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import Options, make_plan
from tests.build.hive_oracles import hivex, listing
from tests.build.hive_soundness import check
from tests.build.windows import CONFIG, hive, make, pe
from tests.build.windows_corpus import payload
from tests.build.windows_texts import LOADER, C, service
from tests.build.windows_texts import bcd as store

OLD, NEW = "bbbbbbbb-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-00000000000c"
DISK = Disk("/dev/sda", table="gpt", partitions=(Volume("/dev/sda1", fstype="ntfs", partuuid=NEW),), id=OLD)
SYSTEM = (
    "".join(service(one, 0) for one in ("pci", "xenfilt", "vsepflt"))
    + "".join(service(one, 2, 16) for one in ("VMTools", "GCEAgent", "cloudbase-init"))
    + service("Dhcp", 4, 32)
    + f"""[{C}\\Services\\pci\\StartOverride]
"0"=dword:3
[{C}\\Control\\Class\\{{4d36e97d-e325-11ce-bfc1-08002be10318}}]
"UpperFilters"=str(7):"xenfilt\\0gone\\0"
[{C}\\Control\\NetworkProvider\\Order]
"ProviderOrder"="vmhgfs,RDPNP"
[{C}\\Control\\Session Manager\\Environment]
"PROCESSOR_ARCHITECTURE"="AMD64"
[{C}\\Enum\\PCI\\VEN_1AF4&DEV_1000\\1]
"ConfigFlags"=dword:1
[{C}\\Services\\Tcpip\\Parameters\\Interfaces\\{{A}}]
"EnableDHCP"=dword:0
"IPAddress"=str(7):"192.0.2.10\\0"
[DriverDatabase]
"Version"=dword:0a000000
"""
)
SOFTWARE = r"""[Microsoft\Windows NT\CurrentVersion]
"CurrentBuild"="19045"
"CurrentMajorVersionNumber"=dword:0000000a
"CurrentMinorVersionNumber"=dword:00000000
"EditionID"="Professional"
[Cloudbase Solutions\Cloudbase-Init\i-1\Plugins]
"SetHostNamePlugin"=dword:1
"""


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The hives that a plan with every kind of change leaves."""
    root = tmp_path_factory.mktemp("guest")
    made = Hive.open(store())
    bcd.set_element(made, LOADER, bcd.OS_DEVICE, bcd.encode_device(bcd.Device("partition", "gpt", OLD, OLD)))
    bcd.set_element(made, bcd.BOOTMGR, bcd.DISPLAY_ORDER, [LOADER])
    files = {f"Windows/System32/drivers/{one}.sys": pe() for one in ("disk", "pci", "xenfilt", "vsepflt")}
    system, software = hive(SYSTEM_SELECT + SYSTEM, "SYSTEM"), hive(SOFTWARE, "SOFTWARE")
    hives = {f"{CONFIG}/SYSTEM": system, f"{CONFIG}/SOFTWARE": software, "Boot/BCD": made.to_bytes()}
    make(root / "guest", files={**files, **hives})
    extra = {"payload.dir": payload(root, "w10")}
    policies = {"cloud_init_network": "clean", "windows_rdp": "on", "windows_ghost_adapters": "remove"}
    options = Options(policies=policies, extra=extra, accept=("GF-WINDOWS-NIC-DRIVER",))
    guest = DirectoryGuest(str(root / "guest"), Disks((DISK,)))
    plan = make_plan(guest, load_pack(), "kvm-virtio", options)
    assert not plan.blockers, [one.summary for one in plan.blockers]
    applied = {one.rule for one in plan.decisions if one.outcome == "applied"}
    assert {"windows/boot-entries", "windows/orphan-filters", "windows/enable-devices", "windows/dhcp"} <= applied
    apply_plan(guest, plan)
    return {
        name: (root / "guest" / name).read_bytes()
        for name in hives
        if (root / "guest" / name).read_bytes() != hives[name]
    }


SYSTEM_SELECT = '[Select]\n"Current"=dword:1\n"Default"=dword:1\n"LastKnownGood"=dword:1\n'


def test_the_plan_changed_all_three(changed: dict[str, bytes]) -> None:
    assert len(changed) == 3


def test_hivex_reads_each_alike(changed: dict[str, bytes]) -> None:
    for data in changed.values():
        assert hivex().read(data) == listing(Hive.open(data))


def test_regipy_reads_each_key_and_value(changed: dict[str, bytes], tmp_path: Path) -> None:
    registry = pytest.importorskip("regipy.registry", reason="regipy is not installed")
    for number, data in enumerate(changed.values()):
        path = tmp_path / f"hive{number}"
        path.write_bytes(data)
        found = registry.RegistryHive(str(path))
        theirs = [one.path for one in found.recurse_subkeys(found.root, as_json=False)]
        ours = [place for place, _ in listing(Hive.open(data)) if place]
        assert sorted(one.strip("\\").lower() for one in theirs if one.strip("\\")) == sorted(map(str.lower, ours))


def test_each_is_sound(changed: dict[str, bytes]) -> None:
    for data in changed.values():
        assert check(data).problems == []
