"""Storage drivers: alternatives of a target, the driver store of the guest, devices that nothing binds yet."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.formats.windows.bindings import is_bound, packages_serving, serving
from guestfix.formats.windows.regf import Hive
from guestfix.formats.windows.storage import STORAGE_DRIVERS, all_names, alternatives, buses_of, is_optional
from guestfix.pack.cache import load_pack
from guestfix.plan.model import Plan
from guestfix.plan.planner import Options, make_plan
from tests.build.corpus import CORPUS
from tests.build.windows import CONFIG, hive, make, pe
from tests.build.windows_corpus import RULES, SEVEN, TEN, made_clean
from tests.build.windows_payload import inf
from tests.build.windows_texts import SERVICES, service

DRIVERS = "Windows/System32/drivers"
RULE = Options(("windows/storage-drivers",))


def plan(root: Path, target: str) -> Plan:
    return make_plan(DirectoryGuest(str(root)), load_pack(RULES), target, RULE)


def test_alternatives() -> None:
    assert alternatives(" pvscsi | lsi_sas|") == ("pvscsi", "lsi_sas")
    assert all_names(["a | b", "b", "c?"]) == ["a", "b", "c"]
    assert is_optional("a?") and is_optional("a | b ?") and not is_optional("a")
    assert alternatives("a | b ?") == ("a", "b")
    assert all(name == name.lower() for name in STORAGE_DRIVERS)


@pytest.mark.parametrize("name", ["lsi_sas", "lsi_scsi", "symmpi", "storahci", "msahci", "stornvme", "intelide"])
def test_any_controller_of_vmware_will_do(tmp_path: Path, name: str) -> None:
    root = make(tmp_path, service(name, 3), SEVEN, {f"{DRIVERS}/{name}.sys": pe()})
    done = plan(root, "vmware")
    assert {one.code for one in done.findings if one.rule == "windows/storage-drivers"} == {"GF-WINDOWS-STORAGE-BUS"}
    assert '+"Start"=dword:00000000' in done.changes[0].diff


def test_the_first_choice_needs_no_word(tmp_path: Path) -> None:
    files = {f"{DRIVERS}/{name}.sys": pe() for name in ("pvscsi", "lsi_sas")}
    root = make(tmp_path, service("pvscsi", 0) + service("lsi_sas", 3), SEVEN, files)
    assert [one.code for one in plan(root, "vmware").findings if one.rule] == []


def test_without_any_of_them_windows_would_stop(tmp_path: Path) -> None:
    root = make(tmp_path, service("viostor", 3), SEVEN, {f"{DRIVERS}/viostor.sys": pe()})
    (found,) = [one for one in plan(root, "vmware").findings if one.rule]
    assert (found.code, found.severity) == ("GF-WINDOWS-STORAGE-DRIVER", "blocker")
    assert "attach" not in found.remedy


CONTROLLERS = [
    ("kvm-scsi", "viostor", "virtio-blk (viostor)"),
    ("gce", "viostor", ""),
    ("aws-nitro", "lsi_sas", ""),
    ("azure", "storahci", ""),
    ("openstack", "storahci", "SATA (AHCI) (storahci)"),
    ("gce", "stornvme", "NVMe (stornvme)"),
]


@pytest.mark.parametrize(("target", "there", "offered"), CONTROLLERS)
def test_only_controllers_of_the_target_are_offered(tmp_path: Path, target: str, there: str, offered: str) -> None:
    root = make(tmp_path, service(there, 0), SEVEN, {f"{DRIVERS}/{there}.sys": pe()})
    found = next(one for one in plan(root, target).findings if one.code == "GF-WINDOWS-STORAGE-DRIVER")
    assert found.remedy.partition("attach the disks to ")[2].partition(",")[0] == offered


@pytest.mark.parametrize("target", ["kvm-scsi", "gce", "proxmox"])
def test_virtio_blk_is_no_virtio_scsi(tmp_path: Path, target: str) -> None:
    root = make(tmp_path, service("viostor", 0), SEVEN, {f"{DRIVERS}/viostor.sys": pe()})
    assert "GF-WINDOWS-STORAGE-DRIVER" in {one.code for one in plan(root, target).findings}


def real_hive(name: str) -> bytes:
    source = CORPUS / "hives" / f"{name}.xz"
    if not source.is_file():
        pytest.skip("no corpus of hives")
    return lzma.decompress(source.read_bytes())


def test_what_real_databases_bind() -> None:
    ten, seven = Hive.open(made_clean(real_hive("SYSTEM_WIN_10_1709"))), Hive.open(real_hive("SYSTEM"))
    for name in ("storahci", "stornvme", "lsi_sas", "pciide", "storvsc", "vmbus"):
        assert is_bound(ten, "ControlSet001", name, STORAGE_DRIVERS[name]), name
    for name in ("msahci", "lsi_sas", "lsi_scsi", "pciide", "intelide", "storvsc", "vmbus"):
        assert is_bound(seven, "ControlSet001", name, STORAGE_DRIVERS[name]), name
    for name in ("viostor", "vioscsi"):
        assert not is_bound(ten, "ControlSet001", name, STORAGE_DRIVERS[name])
        assert serving(seven, "ControlSet001", STORAGE_DRIVERS[name].devices) == []
    staged = ("pvscsi.inf_amd64_b0d59727d712523f", "")
    assert packages_serving(ten, "ControlSet001", STORAGE_DRIVERS["pvscsi"].devices) == [staged]


def test_a_real_staged_driver_is_installed(tmp_path: Path) -> None:
    store = "Windows/System32/DriverStore/FileRepository/pvscsi.inf_amd64_b0d59727d712523f/pvscsi"
    text = inf("pvscsi", "amd64").replace(rb"VEN_1AF4&DEV_1001", rb"VEN_15AD&DEV_07C0")
    files = {
        f"{CONFIG}/SYSTEM": made_clean(real_hive("SYSTEM_WIN_10_1709")),
        f"{store}.inf": text,
        f"{store}.sys": pe(),
    }
    root = make(tmp_path, "", TEN, files)
    done = plan(root, "vmware")
    assert "GF-WINDOWS-DRIVER-STAGED" in {one.code for one in done.findings}
    changed = {one.path: one for one in done.changes}
    assert f"/{DRIVERS}/pvscsi.sys" in changed
    lines = changed["/Windows/System32/config/SYSTEM"].diff.splitlines()
    at = lines.index(" [ControlSet001\\Services\\pvscsi]")
    assert '+"Start"=dword:00000000' in lines[at : at + 4]
    assert "+[DriverDatabase\\DriverInfFiles\\gfpvscsi.inf]" in lines


def test_windows_7_names_the_package_in_its_database(tmp_path: Path) -> None:
    key = r"[ControlSet001\Control\CriticalDeviceDatabase\PCI#VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00]"
    text = f'{key}\n"Service"="viostor"\n"DriverPackageId"="viostor.inf_amd64_neutral_0123456789abcdef"\n'
    store = "Windows/System32/DriverStore/FileRepository/viostor.inf_amd64_neutral_0123456789abcdef/viostor"
    files = {f"{store}.inf": inf("viostor", "amd64"), f"{store}.sys": pe()}
    done = plan(make(tmp_path, text, SEVEN, files), "kvm-virtio")
    assert [one.path for one in done.changes] == ["/Windows/System32/config/SYSTEM", f"/{DRIVERS}/viostor.sys"]


@pytest.mark.parametrize("label", ["..", "a\\\\b", "C:", "", "x" * 300])
def test_a_package_name_stays_inside_the_store(tmp_path: Path, label: str) -> None:
    key = r"[ControlSet001\Control\CriticalDeviceDatabase\PCI#VEN_1AF4&DEV_1001]"
    text = f'{key}\n"Service"="viostor"\n"DriverPackageId"="{label}"\n'
    assert plan(make(tmp_path, text, SEVEN), "kvm-virtio").changes == ()


def test_the_store_of_another_processor_installs_nothing(tmp_path: Path) -> None:
    key = r"[ControlSet001\Control\CriticalDeviceDatabase\PCI#VEN_1AF4&DEV_1001]"
    text = f'{key}\n"Service"="viostor"\n"DriverPackageId"="p"\n'
    store = "Windows/System32/DriverStore/FileRepository/p/viostor"
    files = {f"{store}.inf": inf("viostor", "amd64"), f"{store}.sys": pe(0x014C)}
    assert plan(make(tmp_path, text, SEVEN, files), "kvm-virtio").changes == ()


def test_a_database_that_binds_a_part_of_the_device(tmp_path: Path) -> None:
    opened = Hive.open(hive(r"[DriverDatabase\DeviceIds\PCI\VEN_1AF4&DEV_10010]"))
    assert not is_bound(opened, "ControlSet001", "viostor", STORAGE_DRIVERS["viostor"])


def test_azure_starts_what_either_generation_needs(tmp_path: Path) -> None:
    names = ("vmbus", "storvsc", "storflt", "intelide", "atapi")
    override = "".join(f'[{SERVICES}\\{name}\\StartOverride]\n"0"=dword:3\n' for name in names)
    files = {f"{DRIVERS}/{name}.sys": pe() for name in names}
    root = make(tmp_path, "".join(service(name, 3) for name in names) + override, SEVEN, files)
    done = plan(root, "azure")
    assert [one.code for one in done.findings if one.rule] == []
    assert done.changes[0].diff.count('+"Start"=dword:00000000') == len(names)
    assert done.changes[0].diff.count("StartOverride]") == len(names)


def test_azure_needs_no_ide_of_the_second_generation(tmp_path: Path) -> None:
    files = {f"{DRIVERS}/{name}.sys": pe() for name in ("vmbus", "storvsc")}
    root = make(tmp_path, service("vmbus", 0) + service("storvsc", 0), SEVEN, files)
    assert [one.code for one in plan(root, "azure").findings if one.rule] == []
    root = make(tmp_path / "b", service("vmbus", 0), SEVEN, {f"{DRIVERS}/vmbus.sys": pe()})
    assert [one.code for one in plan(root, "azure").findings if one.rule] == ["GF-WINDOWS-STORAGE-DRIVER"]


def override(name: str, control: str = "ControlSet001") -> str:
    return f'[{control}\\Services\\{name}\\StartOverride]\n"0"=dword:3\n'


BUSES = [
    ("kvm-virtio", "viostor", ("pci",), "pci"),
    ("kvm-virtio", "viostor", ("pci", "acpi"), "acpi"),
    ("kvm-scsi", "vioscsi", ("pci", "acpiex"), "acpiex"),
    ("aws-nitro", "stornvme", ("pci",), "pci"),
    ("vmware", "storahci", ("pci",), "pci"),
    ("azure", "storvsc", ("vmbus", "acpi"), "acpi"),
    ("azure", "storvsc", ("vmbus",), "vmbus"),
]


@pytest.mark.parametrize(("target", "driver", "buses", "late"), BUSES)
def test_a_bus_that_does_not_start_stops_its_driver(
    tmp_path: Path, target: str, driver: str, buses: tuple[str, ...], late: str
) -> None:
    names = (driver, *buses)
    critical = "".join(
        f'[ControlSet001\\Control\\CriticalDeviceDatabase\\{device.replace(chr(92), "#")}]\n"Service"="{name}"\n'
        for name in names
        if name in STORAGE_DRIVERS
        for device in STORAGE_DRIVERS[name].devices
    )
    text = "".join(service(name, 0) for name in names) + critical
    files = {f"{DRIVERS}/{name}.sys": pe() for name in names}
    sound = plan(make(tmp_path / "sound", text, SEVEN, files), target)
    done = plan(make(tmp_path / "late", text + override(late), SEVEN, files), target)
    before, after = (
        next(one for one in walk.steps if one.id == "drivers") for walk in (done.walk.before, done.walk.after)
    )
    assert next(one for one in sound.walk.before.steps if one.id == "drivers").outcome == "passes"
    assert before.outcome == "stops" and late in before.because
    assert after.outcome == "passes" and f"Services\\{late}\\StartOverride]" in done.changes[0].diff


def test_overrides_of_buses_go_in_every_control_set(tmp_path: Path) -> None:
    text = service("viostor", 0) + service("pci", 0) + service("acpi", 3)
    text += service("pci", 0).replace("ControlSet001", "ControlSet002")
    text += override("pci") + override("pci", "ControlSet002") + override("acpi")
    files = {f"{DRIVERS}/{name}.sys": pe() for name in ("viostor", "pci", "acpi")}
    diff = plan(make(tmp_path, text, SEVEN, files), "kvm-virtio").changes[0].diff
    assert diff.count("pci\\StartOverride]") == 2
    assert "Services\\acpi" not in diff


def test_a_hive_without_the_bus_tells_nothing(tmp_path: Path) -> None:
    root = make(tmp_path, service("viostor", 0), SEVEN, {f"{DRIVERS}/viostor.sys": pe()})
    after = {one.id: one for one in plan(root, "kvm-virtio").walk.after.steps}["drivers"]
    assert (after.outcome, "pci" in after.because) == ("unknown", True)


def test_a_table_of_buses_that_runs_in_a_circle_ends() -> None:
    table = {"*": ("a",), "a": ("b?",), "b": ("a", "c | d")}
    assert buses_of("disk", table) == ("a", "b?", "c | d")
    assert buses_of("b", {"b": ("b",)}) == ("b",)
    assert buses_of("x", {}) == ()
