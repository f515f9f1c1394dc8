"""Plans for Windows guests, applied and read back by other tools than our own."""

from __future__ import annotations

import lzma
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from guestfix.apply.apply import apply_plan
from guestfix.apply.undo import revert
from guestfix.backends.directory import DirectoryGuest
from guestfix.formats.windows.regf import Hive
from guestfix.pack.cache import load_pack
from guestfix.plan.model import Plan
from guestfix.plan.planner import Options, identity_of, make_plan
from tests.build.corpus import CORPUS
from tests.build.windows import CONFIG, hive, make, pe
from tests.build.windows_corpus import RULES, SEVEN, TEN, made_clean, payload


def plan_for(root: Path, options: Options) -> Plan:
    return make_plan(DirectoryGuest(str(root)), load_pack(RULES), "kvm-virtio", options)


def keys_of(path: Path) -> dict[str, list[str]]:
    """What hivex reads: every key with its lines."""
    if shutil.which("hivexregedit") is None:
        pytest.skip("hivexregedit is not installed")
    done = subprocess.run(["hivexregedit", "--export", str(path), "\\"], capture_output=True, check=True)
    found: dict[str, list[str]] = {}
    for block in done.stdout.decode("utf-8", "replace").split("\n\n"):
        lines = block.strip().splitlines()
        if lines and lines[0].startswith("["):
            found[lines[0][1:-1].lstrip("\\")] = lines[1:]
    return found


@pytest.fixture
def windows_7(tmp_path: Path) -> Path:
    source = CORPUS / "hives" / "SYSTEM.xz"
    if not source.is_file():
        pytest.skip(f"no corpus of hives at {source.parent}")
    return make(tmp_path / "guest", "", SEVEN, {f"{CONFIG}/SYSTEM": lzma.decompress(source.read_bytes())})


def test_a_real_hive_gets_just_the_planned_changes(windows_7: Path, tmp_path: Path) -> None:
    system = windows_7 / CONFIG / "SYSTEM"
    original, before = system.read_bytes(), keys_of(system)
    options = Options(("windows/*",), extra={"payload.dir": payload(tmp_path)})
    plan = plan_for(windows_7, options)
    assert not [one for one in plan.decisions if one.outcome == "failed"]
    apply_plan(DirectoryGuest(str(windows_7)), plan)
    after = keys_of(system)
    changed = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    allowed = re.compile(
        r"ControlSet00[12]\\(services\\(viostor|guestfix-firstboot|VMTools|VMUpgradeHelper|VMware\w+|vm\w+|Tcpip\\Parameters\\(Interfaces|PersistentRoutes)|partmgr)"
        r"|Control\\(CriticalDeviceDatabase|TimeZoneInformation|CrashControl))",
        re.IGNORECASE,
    )
    assert changed
    assert [key for key in changed if not allowed.match(key)] == []
    for control in ("ControlSet001", "ControlSet002"):
        service = next(after[key] for key in after if key.lower() == f"{control}\\services\\viostor".lower())
        assert '"Start"=dword:00000000' in service
        device = f"{control}\\Control\\CriticalDeviceDatabase\\pci#ven_1af4&dev_1001"
        assert any(key.lower() == device.lower() for key in after)
    assert (windows_7 / "Windows/System32/drivers/viostor.sys").read_bytes() == pe()
    assert plan_for(windows_7, options).changes == ()
    revert(DirectoryGuest(str(windows_7)))
    assert system.read_bytes() == original


def test_a_real_driver_database_gets_the_package(tmp_path: Path) -> None:
    source = CORPUS / "hives" / "SYSTEM_WIN_10_1709.xz"
    if not source.is_file():
        pytest.skip(f"no corpus of hives at {source.parent}")
    data = made_clean(lzma.decompress(source.read_bytes()))
    root = make(tmp_path / "guest", "", TEN, {f"{CONFIG}/SYSTEM": data})
    system = root / CONFIG / "SYSTEM"
    before = keys_of(system)
    options = Options(("windows/inject-drivers",), extra={"payload.dir": payload(tmp_path, "w10")})
    apply_plan(DirectoryGuest(str(root)), plan_for(root, options))
    after = keys_of(system)
    changed = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    outside = [key for key in changed if "viostor" not in key and "guestfix" not in key and "VEN_1AF4" not in key]
    assert [key for key in outside if key.lower() != "driverdatabase\\deviceids\\pci"] == []
    stem = "DriverDatabase\\DriverPackages\\gfviostor.inf_amd64_"
    package = min((key for key in changed if key.startswith(stem)), key=len)
    assert f"{package}\\Descriptors\\PCI\\VEN_1AF4&DEV_1001" in after
    assert after[f"{package}\\Configurations\\viostor_conf"] == [
        '"ConfigFlags"=dword:00000000',
        '"Service"=hex(1):76,00,69,00,6f,00,73,00,74,00,6f,00,72,00,00,00',
    ]


def test_reged_reads_the_changed_hive(windows_7: Path, tmp_path: Path) -> None:
    if shutil.which("reged") is None:
        pytest.skip("reged (chntpw) is not installed")
    options = Options(("windows/*",), extra={"payload.dir": payload(tmp_path)})
    apply_plan(DirectoryGuest(str(windows_7)), plan_for(windows_7, options))
    out = tmp_path / "out.reg"
    path = windows_7 / CONFIG / "SYSTEM"
    done = subprocess.run(
        ["reged", "-x", str(path), "HKLM\\SYSTEM", "ControlSet001\\services\\viostor", str(out)], capture_output=True
    )
    assert out.is_file(), done.stdout.decode("utf-8", "replace")[-500:]
    text = out.read_text("latin-1")
    assert '"Start"=dword:00000000' in text and "PnpInterface" not in text


def test_the_first_boot_script_is_single_shot(windows_7: Path, tmp_path: Path) -> None:
    options = Options(("windows/inject-drivers",), extra={"payload.dir": payload(tmp_path)})
    apply_plan(DirectoryGuest(str(windows_7)), plan_for(windows_7, options))
    lines = (windows_7 / "Windows/guestfix/firstboot.cmd").read_bytes().split(b"\r\n")
    marker = next(i for i, line in enumerate(lines) if b">" in line and b"firstboot.done" in line)
    check = next(i for i, line in enumerate(lines) if line.startswith(b"if exist") and b"firstboot.done" in line)
    work = [i for i, line in enumerate(lines) if b"pnputil -i" in line or line.startswith(b"sc ")]
    assert check < marker < min(work)
    assert b"shutdown" not in b"\n".join(lines)


def test_a_dirty_hive_with_logs_is_recovered_and_changed(tmp_path: Path) -> None:
    names = ("transactions_NTUSER.DAT", "transactions_ntuser.dat.log1", "transactions_ntuser.dat.log2")
    if not (CORPUS / "hives" / f"{names[0]}.xz").is_file():
        pytest.skip("no corpus of hives")
    dirty, log1, log2 = (lzma.decompress((CORPUS / "hives" / f"{name}.xz").read_bytes()) for name in names)
    # The registry of a user stands in for SOFTWARE: what counts is that its last writes are only in the logs.
    files = {f"{CONFIG}/SOFTWARE": dirty, f"{CONFIG}/SOFTWARE.LOG1": log1, f"{CONFIG}/SOFTWARE.LOG2": log2}
    root = make(tmp_path, files=files)
    from guestfix.actions.workbench import Workbench
    from guestfix.base.overlay import Overlay
    from guestfix.pack.model import Rule, Step
    from guestfix.plan.steps import run_step
    from tests.build.windows import KVM, learn

    facts, _ = learn(root)
    assert "SOFTWARE" in facts.value("windows.writable_hives")
    bench = Workbench(Overlay(DirectoryGuest(str(root))), facts, KVM)
    args = {"key": ["const", "Software\\Example"], "name": ["const", "x"], "data": ["const", "y"]}
    rule = Rule("x/y", "", "", (), "", "certain", "warning", (), ())
    run_step(rule, Step((f"/{CONFIG}/SOFTWARE",), "registry.set", args=args), bench)
    changed = Hive.open(bench.fs.read(f"/{CONFIG}/SOFTWARE", 1 << 30))
    recovered = Hive.open(dirty, (log1, log2))
    assert not changed.dirty
    assert changed.get("Software\\Example", "x") == "y"
    assert sorted(key.name for key in changed.root.subkeys()) == sorted(key.name for key in recovered.root.subkeys())


def test_a_dirty_hive_without_logs_is_left_alone(tmp_path: Path) -> None:
    source = CORPUS / "hives" / "SYSTEM_WIN_10_1709.xz"
    if not source.is_file():
        pytest.skip("no corpus of hives")
    root = make(tmp_path, files={f"{CONFIG}/SYSTEM": lzma.decompress(source.read_bytes())})
    plan = plan_for(root, Options())
    assert "GF-WINDOWS-HIVE-DIRTY" in {one.code for one in plan.findings if one.severity == "blocker"}
    assert [one.path for one in plan.changes if "SYSTEM" in one.path.rpartition("/")[2]] == []


def test_protected_services_are_never_disabled(tmp_path: Path) -> None:
    from guestfix.actions.windows.registry import disable_service
    from guestfix.base.errors import EditError
    from guestfix.formats.windows.regf import empty_hive
    from guestfix.formats.windows.services import PROTECTED, products_of
    from guestfix.pack.cache import load_pack

    products = products_of(load_pack().tables["windows-products"])
    assert products and not [name for product in products for name in product.services if name in PROTECTED]
    opened = Hive.open(hive('[ControlSet001\\Services\\VMBus]\n"Start"=dword:0'))
    for name in ("VMBus", "vmgid", "vms3cap", "pvscsi", "viostor"):
        with pytest.raises(EditError):
            disable_service(opened, "ControlSet001", name)
    assert disable_service(Hive.open(empty_hive()), "ControlSet001", "none") is False


def test_a_plan_belongs_to_one_windows(tmp_path: Path) -> None:
    def guest(name: str, guid: str, computer: str) -> DirectoryGuest:
        system = f'[ControlSet001\\Control\\ComputerName\\ComputerName]\n"ComputerName"="{computer}"\n'
        software = f'[Microsoft\\Cryptography]\n"MachineGuid"="{guid}"\n'
        return DirectoryGuest(str(make(tmp_path / name, system, software)))

    one, other = guest("a", "11111111-1111", "A"), guest("b", "22222222-2222", "A")
    assert identity_of(one) == identity_of(guest("c", "11111111-1111", "A"))
    assert len({identity_of(one), identity_of(other), identity_of(guest("d", "11111111-1111", "D"))}) == 3


@pytest.mark.parametrize(
    ("policy", "told"), [("dhcp", False), ("dhcp-first", False), ("preserve", True), ("none", True)]
)
def test_addresses_that_a_policy_keeps_are_told(tmp_path: Path, policy: str, told: bool) -> None:
    text = r"""[ControlSet001\Services\Tcpip\Parameters\Interfaces\{A}]
"EnableDHCP"=dword:0
"IPAddress"=str(7):"192.0.2.10\0"
"""
    plan = plan_for(make(tmp_path, text, SEVEN), Options(("windows/dhcp",), policies={"network": policy}))
    found = [one for one in plan.findings if one.code == "GF-WINDOWS-STATIC-KEPT"]
    assert bool(found) is told
    assert not told or "{A}: 192.0.2.10" in found[0].summary
