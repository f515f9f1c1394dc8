"""netplan as a whole: what it refuses is taken out and named, so that the rest holds."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from guestfix.apply.apply import apply_plan
from guestfix.backends.directory import DirectoryGuest
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import make_plan
from tests.build.tree import build

HEAD = "network:\n  version: 2\n  ethernets:\n    ens34:\n"
STATIC = "      addresses: [198.51.100.7/24]\n"
CASES = {
    "an unknown key": ({"a.yaml": f"{HEAD}{STATIC}      gateway: 198.51.100.1\n"}, "unknown key 'gateway'", None),
    "an unknown key of the file": ({"a.yaml": f"{HEAD}{STATIC}  hostname: x\n"}, "unknown key 'hostname'", None),
    "an unknown key of another file": (
        {"a.yaml": HEAD + STATIC, "b.yaml": "network:\n  wifis:\n    wlan0:\n      dhcp4: true\n      ssid: x\n"
         "      access-points: {x: {password: abcdefgh}}\n"}, "unknown key 'ssid'", "access-points"),
    "an address without prefix, which goes": ({"a.yaml": HEAD + "      addresses: [198.51.100.7]\n"}, "", None),
    "one of a device that stays": (
        {"a.yaml": f"{HEAD}{STATIC}  dummy-devices:\n    dm0: {{addresses: [10.9.9.9]}}\n    dm1: {{}}\n"},
        "(dm0)", "dm1"),
    "a bond of what is nowhere": (
        {"a.yaml": f"{HEAD}{STATIC}  bonds:\n    bond9: {{interfaces: [nowhere], addresses: [10.1.1.1/24]}}\n"},
        "bond9", None),
    "a bridge of no NIC": (
        {"a.yaml": f"{HEAD}{STATIC}  bridges:\n    br9: {{interfaces: [tap7]}}\n    br8: {{}}\n"},
        "br9", None),
    "version 1": ({"a.yaml": "network:\n  version: 1\n  config: []\n", "b.yaml": HEAD + STATIC}, "a.yaml", None),
    "no YAML": ({"a.yaml": "network: [\n", "b.yaml": HEAD + STATIC}, "is moved aside", None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_refused_is_taken_out(tmp_path, name):
    files, said, stays = CASES[name]
    tree = {"etc/os-release": 'ID=ubuntu\nVERSION_ID="24.04"\n'}
    tree |= {f"etc/netplan/{one}": text for one, text in files.items()}
    root = build(tmp_path / "root", tree)
    plan = make_plan(DirectoryGuest(str(root)), load_pack(), "kvm-virtio")
    assert any(said in one.summary for one in plan.findings if one.code.startswith("GF-NETWORK"))
    assert all(one.evidence and one.remedy for one in plan.findings)
    assert not [one for one in plan.findings if one.code == "GF-NETWORK-NETPLAN-FAULT" and not one.settled_by]
    apply_plan(DirectoryGuest(str(root)), plan)
    left = {path.name: path.read_text() for path in Path(root, "etc/netplan").glob("[!.]*.yaml")}
    assert "dhcp4: true" in "".join(left.values()) and (not stays or stays in "".join(left.values()))
    assert make_plan(DirectoryGuest(str(root)), load_pack(), "kvm-virtio").changes == ()
    if shutil.which("netplan"):
        for path in Path(root, "etc/netplan").iterdir():
            path.chmod(0o600)
        done = subprocess.run(["netplan", "generate", "--root-dir", str(root)], capture_output=True, text=True)
        assert done.returncode == 0 or "dummy-devices" in done.stderr, done.stderr
