"""What guestfix writes, read by the programs that will read it in the guest."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from guestfix.apply.apply import apply_plan
from guestfix.backends.directory import DirectoryGuest
from guestfix.cases.runner import Case, copy_guest, read_case
from guestfix.editors.network import interfaces, keyfile, netplan, networkd
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import make_plan
from tests.build.corpus import corpus_files, corpus_params

RULES = Path(__file__).resolve().parents[3] / "rules" / "fix" / "network"


def tool(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=60)


def cases(topic: str, *without: str) -> list[Path]:
    return sorted(path.parent for path in RULES.glob(f"{topic}/cases/*/case.yaml") if path.parent.name not in without)


def applied(folder: Path, root: Path) -> Path:
    case: Case = read_case(folder)
    copy_guest(folder / "in", root)
    guest = DirectoryGuest(str(root), case.disks)
    plan = make_plan(guest, load_pack(), case.target, case.options)
    if plan.changes:
        apply_plan(guest, plan)
    return root


@pytest.mark.parametrize("folder", cases("netplan", "beside-ifupdown"), ids=lambda path: path.name)
def test_netplan_generates(folder: Path, tmp_path: Path) -> None:
    program = tool("netplan")
    root = applied(folder, tmp_path / "guest")
    done = run(program, "generate", "--root-dir", str(root))
    assert done.returncode == 0, done.stderr
    made = "".join(path.read_text() for path in root.glob("run/systemd/network/*.network"))
    if folder.name == "tunnel-and-wifi-beside":
        assert "Name=wg0" in made and "Name=br0" in made
        made = made.replace("Address=10.1.0.1/24", "")
    if folder.name == "dhcp-first-on-a-bond":
        assert "DHCP=ipv4" in made and "Bond=bond0" in made and "Address=" not in made
    if folder.name not in ("desktop-untouched", "preserve", "dhcp-first", "dhcp-first-on-a-bond"):
        assert ("Name=en*" if folder.name == "cloud-image" else "Name=e*") in made
        made = made.replace("DHCP=yes", "DHCP=ipv4")
        assert "Name=e" in made and "DHCP=ipv4" in made and "Address=" not in made
    if folder.name == "preserve":
        assert "Name=lan0" in made and "Address=192.0.2.10/24" in made


def test_netplan_refuses_the_broken_case_before(tmp_path: Path) -> None:
    copy_guest(RULES / "netplan/cases/broken-file/in", tmp_path / "guest")
    assert run(tool("netplan"), "generate", "--root-dir", str(tmp_path / "guest")).returncode != 0


@pytest.mark.parametrize("src", [netplan.FRESH, netplan.FRESH.replace(b"\n", b"\r\n")])
def test_netplan_takes_the_new_file(src: bytes, tmp_path: Path) -> None:
    (tmp_path / "etc/netplan").mkdir(parents=True)
    (tmp_path / "etc/netplan/90.yaml").write_bytes(src)
    done = run(tool("netplan"), "generate", "--root-dir", str(tmp_path))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", corpus_params("netplan"))
def test_netplan_takes_edited_corpus(path: Path, tmp_path: Path) -> None:
    program = tool("netplan")
    (tmp_path / "etc/netplan").mkdir(parents=True)
    edited = netplan.dhcp(path.read_bytes(), name="eth0", any_nic=True)
    (tmp_path / "etc/netplan/50.yaml").write_bytes(edited or b"")
    done = run(program, "generate", "--root-dir", str(tmp_path))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("folder", cases("keyfile", "no-profile"), ids=lambda path: path.name)
def test_networkmanager_reads_the_profiles(folder: Path, tmp_path: Path) -> None:
    program = tool("nmcli")
    root = applied(folder, tmp_path / "guest")
    paths = [path for path in root.glob("etc/NetworkManager/system-connections/*") if path.name[0] != "."]
    assert paths
    for path in paths:
        done = run(program, "--offline", "connection", "modify", "connection.id", "probe", stdin=path.read_bytes())
        assert done.returncode == 0, (path.name, done.stderr)
        assert b"id=probe" in done.stdout
        if folder.name in ("rhel9-static", "team-and-second-nic") and b"type=ethernet" in done.stdout:
            assert b"interface-name" not in done.stdout and b"mac-address" not in done.stdout
            assert b"multi-connect=3" in done.stdout and b"method=auto" in done.stdout


def test_networkmanager_makes_the_same_of_the_new_profile() -> None:
    new = keyfile.fresh("5c2a9d0e-6b1f-5f39-9d55-9d4f1f0a7c11")
    done = run(tool("nmcli"), "--offline", "connection", "modify", "ipv6.addr-gen-mode", "default", stdin=new)
    assert done.returncode == 0, done.stderr
    kept = [line for line in new.splitlines() if line]
    assert [line for line in kept if line not in done.stdout.splitlines()] == []


@pytest.mark.parametrize("folder", cases("interfaces"), ids=lambda path: path.name)
def test_ifupdown_reads_the_file(folder: Path, tmp_path: Path) -> None:
    program = tool("ifquery")
    root = applied(folder, tmp_path / "guest")
    file = root / "etc/network/interfaces"
    file.write_text(file.read_text().replace("source /etc/network", f"source {root}/etc/network"))
    listed = run(program, "--interfaces", str(file), "--list", "--allow", "auto")
    assert listed.returncode == 0 and b"misplaced" not in listed.stderr, listed.stderr
    names = {"debian12-allow-hotplug": "ens192", "bridge-alias-vlan": "enp45s0", "preserve-hwaddress": "ens192"}
    names |= {"dhcp-first-bridge": "vmbr0", "inherits-source-directory": "ens192", "resolv-conf-link": "ens192"}
    name = names.get(folder.name, "eth0")
    asked = run(program, "--interfaces", str(file), "--no-mappings", name)
    assert asked.returncode == 0, asked.stderr
    assert (b"address" in asked.stdout) == (folder.name == "preserve-hwaddress"), asked.stdout


@pytest.mark.parametrize("path", corpus_params("interfaces"))
def test_ifupdown_takes_edited_corpus(path: Path, tmp_path: Path) -> None:
    """ifquery takes the edited file wherever it took the original, and the file it refused for a stray line too."""
    program = tool("ifquery")
    name = "eth1" if b"iface eth1" in path.read_bytes() else "eth0"
    edited = interfaces.dhcp(path.read_bytes(), name=name, drop=["eth0:0", "eth0:1"])
    (tmp_path / "interfaces").write_bytes(edited or b"")
    done = run(program, "--interfaces", str(tmp_path / "interfaces"), "--list")
    assert done.returncode == 0 and not [x for x in done.stderr.splitlines() if b"error" in x], done.stderr
    if f"iface {name} ".encode() in path.read_bytes():
        asked = run(program, "--interfaces", str(tmp_path / "interfaces"), name)
        assert asked.returncode == 0 and b"address" not in asked.stdout


def test_the_corpus_has_a_file_that_ifupdown_refuses(tmp_path: Path) -> None:
    program = tool("ifquery")
    refused = [
        path
        for path in corpus_files("interfaces")
        if b"misplaced" in run(program, "--interfaces", str(path), "--list").stderr
    ]
    if not corpus_files("interfaces"):
        pytest.skip("no corpus")
    assert refused
    fixed = tmp_path / "interfaces"
    fixed.write_bytes(interfaces.dhcp(refused[0].read_bytes(), name="eth0", drop=[]) or b"")
    assert b"misplaced" not in run(program, "--interfaces", str(fixed), "--list").stderr


NETWORKD = "/lib/systemd/systemd-networkd"
START = 'mount --bind "$1" /etc/systemd/network && mount -t tmpfs tmpfs /run && exec timeout 3 ' + NETWORKD


def networkd_says(folder: Path) -> str:
    """Start systemd-networkd with these files, in a network and a mount namespace of its own, and return its log."""
    if os.geteuid() != 0 or not Path(NETWORKD).exists():
        pytest.skip(f"needs root and {NETWORKD}")
    env = {**os.environ, "SYSTEMD_LOG_LEVEL": "debug", "SYSTEMD_LOG_TARGET": "console"}
    command = [tool("unshare"), "-nm", "--propagation", "private", "sh", "-c", START, "sh", str(folder)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60, env=env)
    if b"Enumeration completed" not in done.stderr:
        pytest.skip(f"systemd-networkd does not run here: {done.stderr[-300:]!r}")
    return done.stderr.decode("utf-8", "replace")


def test_networkd_reads_what_is_written(tmp_path: Path) -> None:
    """systemd-networkd names each file with a line it does not know; it names none of those that guestfix changed."""
    folder = tmp_path / "network"
    folder.mkdir()
    for case in cases("networkd"):
        for path in applied(case, tmp_path / case.name).glob("etc/systemd/network/*.net*"):
            shutil.copy(path, folder / f"{case.name}-{path.name}")
    (folder / "bad.network").write_text("[Match]\nName=x\n[Network]\nBogus=1\n")
    (folder / "fresh.network").write_bytes(networkd.FRESH)
    assert len(list(folder.iterdir())) > len(cases("networkd"))
    told = [line for line in networkd_says(folder).splitlines() if line.startswith("/etc/systemd/network/")]
    assert [line.partition(":")[0] for line in told] == ["/etc/systemd/network/bad.network"], told
