"""Point 5: whatever bytes a guest holds, JSON is UTF-8 and a terminal gets neither controls nor forged lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestfix.base.text import clean, one_line, to_json, utf8
from tests.build.windows import CONFIG, SELECT, hive, pe

RAW = b"\xe9\xff\xed\xa0\x80"
"""Bytes that are no UTF-8, a surrogate written as one among them."""

ODD = RAW + b"\x1b[2J\xe2\x80\xae\xc2\x9b\x07"
"""The same with what moves a terminal's cursor, turns the direction of text, and rings."""

FORGED = b"a\nBlockers: apply will refuse\n  GF-FORGED: x"
NAME = (ODD + FORGED).replace(b"/", b"")
MAC = b"00:11:22:33:44:55"


def linux(root: Path) -> Path:
    """Make a guest with such bytes in every place that a detector reads."""
    files: dict[bytes, bytes] = {
        b"etc/os-release": b'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="' + ODD + b'"\nNAME="' + FORGED + b'"\n',
        b"etc/debian_version": b"12" + ODD + b"\n",
        b"etc/hostname": ODD + b"\n",
        b"etc/machine-id": ODD + b"\n",
        b"etc/fstab": b"/dev/sda1 / ext4 defaults 0 1\n/dev/sdb9 /" + ODD + b" ext4 defaults 0 2\nbad" + ODD + b"\n"
        b"nas:/" + ODD + b" /n" + RAW + b" nfs defaults 0 0\n",
        b"etc/crypttab": b"c" + ODD + b" /dev/sdx9 none luks\n",
        b"etc/default/grub": b'GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX="root=/dev/sda1 a=' + RAW + b'"\nGRUB_DEFAULT=3\n',
        b"boot/grub/grub.cfg": b"menuentry '" + ODD + b"' --id '" + RAW + b"' {\n linux /vmlinuz-" + RAW
        + b" root=/dev/sda1 x=" + ODD + b"\n initrd /initrd" + RAW + b"\n}\n",
        b"boot/vmlinuz-6.1" + RAW: b"x",
        b"boot/loader/entries/" + RAW + b".conf": b"title " + ODD + b"\nlinux /vmlinuz-" + RAW + b"\noptions x\n",
        b"lib/modules/6.1" + NAME + b"/modules.dep": b"kernel/" + RAW + b".ko: a\n",
        b"lib/modules/6.1" + NAME + b"/modules.alias": b"alias pci:" + RAW + b" m" + RAW + b"\n",
        b"etc/network/interfaces": b"auto e" + RAW + b"\niface e" + RAW + b" inet static\n address 192.0.2.2/24\n"
        b" gateway 192.0.2.1\n up echo " + ODD + b"\nhwaddress " + MAC + b"\n",
        b"etc/NetworkManager/system-connections/" + NAME[:80] + b".nmconnection": b"[connection]\nid=" + ODD
        + b"\ntype=ethernet\ninterface-name=e" + RAW + b"\n[ipv4]\nmethod=manual\naddress1=192.0.2.3/24,192.0.2.1\n",
        b"etc/systemd/network/" + RAW + b".network": b"[Match]\nName=" + ODD + b"\n[Network]\nAddress=192.0.2.4/24\n",
        b"etc/systemd/network/" + RAW + b".link": b"[Match]\nMACAddress=" + MAC + b"\n[Link]\nName=l" + RAW + b"\n",
        b"etc/sysconfig/network-scripts/ifcfg-" + RAW: b"DEVICE=" + RAW + b"\nHWADDR=" + MAC + b"\nIPADDR=192.0.2.5\n",
        b"etc/netplan/" + RAW + b".yaml": b"network:\n ethernets:\n  e0: {addresses: [192.0.2.6/24]} #" + RAW + b"\n",
        b"etc/udev/rules.d/70-persistent-net.rules": b'SUBSYSTEM=="net", ATTR{address}=="' + MAC + b'", NAME="e' + RAW
        + b'"\n',
        b"etc/systemd/system/" + NAME[:80] + b".service": b"[Service]\nExecStart=/" + ODD + b"\n",
        b"etc/systemd/system/multi-user.target.wants/vmtoolsd" + RAW + b".service": b"[Service]\nExecStart=/x\n",
        b"etc/systemd/system/srv-" + RAW + b".mount": b"[Mount]\nWhat=/dev/sdz1\nWhere=/srv/" + RAW + b"\n",
        b"etc/modprobe.d/" + RAW + b".conf": b"blacklist virtio_blk\nblacklist " + ODD + b"\n",
        b"etc/init.d/" + RAW: b"#!/bin/sh\n",
        b"etc/iptables/rules.v4": b"*filter\n:INPUT DROP [0:0]\n-A INPUT -i e" + ODD + b" -p tcp -j ACCEPT\n",
        b"etc/ssh/sshd_config": b"Port 22\nListenAddress " + ODD + b"\n",
        b"etc/passwd": b"root:x:0:0:" + ODD + b":/root:/bin/" + RAW + b"\n",
        b"etc/shadow": b"root:!" + RAW + b":1::::::\n",
        b"etc/dracut.conf.d/" + RAW + b".conf": b'omit_drivers+=" virtio_blk ' + RAW + b' "\n',
        b"etc/initramfs-tools/conf.d/" + RAW: b"RESUME=/dev/sd" + RAW + b"\n",
        b"var/lib/dpkg/status": b"Package: open-vm-tools\nStatus: install ok installed\nVersion: " + ODD + b"\n\n",
        b"etc/cloud/cloud.cfg.d/" + RAW + b".cfg": b"datasource_list: [ " + RAW + b" ]\n",
        b"usr/lib/os" + RAW: b"",
    }  # fmt: skip
    return plant(root, files)


def plant(root: Path, files: dict[bytes, bytes]) -> Path:
    for name, data in files.items():
        path = os.path.join(os.fsencode(root), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(data)
    return root


LONE = "\udead" + "\x1b[31m\u202e" + "\ud800"


def windows(root: Path) -> Path:
    """Make a Windows guest whose registry holds lone halves of UTF-16 pairs in names and values."""

    def named(lone: str) -> str:
        return f"""
[ControlSet001\\Services\\svc{lone}]
"Start"=dword:00000000
"Type"=dword:00000001
"ErrorControl"=dword:00000003
"ImagePath"="system32\\\\drivers\\\\gone{lone}.sys"
[ControlSet001\\Control\\ComputerName\\ComputerName]
"ComputerName"="pc{lone}"
[ControlSet001\\Control\\TimeZoneInformation]
"TimeZoneKeyName"="{lone}"
[ControlSet001\\Services\\Tcpip\\Parameters]
"Hostname"="h{lone}"
[ControlSet001\\Services\\Tcpip\\Parameters\\Interfaces\\{{8B3C9D1E-0000-4000-8000-000000000001}}]
"EnableDHCP"=dword:00000000
"IPAddress"=hex(7):31,00,39,00,d8,d8,00,00,00,00
[MountedDevices]
"\\\\DosDevices\\\\C:{lone}"=hex:01,02,03,04
"""

    software = f"""
[Microsoft\\Windows NT\\CurrentVersion]
"ProductName"="Windows Server 2019{LONE}"
"CurrentVersion"="6.3"
"CurrentMajorVersionNumber"=dword:0000000a
"CurrentBuildNumber"="17763"
"InstallationType"="Server{LONE}"
[Microsoft\\Windows\\CurrentVersion\\Uninstall\\VMware Tools{LONE}]
"DisplayName"="VMware Tools {LONE}"
"DisplayVersion"="11{LONE}"
"""
    files = {
        f"{CONFIG}/SYSTEM": hive(SELECT + named(LONE), "SYSTEM"),
        f"{CONFIG}/SOFTWARE": hive(software, "SOFTWARE"),
        "Windows/System32/ntoskrnl.exe": pe(),
    }
    return plant(root, {os.fsencode(name): data for name, data in files.items()})


def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run guestfix as a program in the plainest locale."""
    env = {**os.environ, "LC_ALL": "C"}
    return subprocess.run([sys.executable, "-m", "guestfix", *arguments], capture_output=True, env=env)


def check_json(raw: bytes) -> dict[str, object]:
    text = raw.decode("utf-8")  # strict
    document = json.loads(text)
    json.dumps(document, ensure_ascii=False).encode("utf-8")  # no text in it has a lone surrogate
    assert isinstance(document, dict)
    return document


def check_text(raw: bytes) -> None:
    text = raw.decode("utf-8")
    hidden = {char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Cs")} - {"\n", "\t"}
    assert hidden == set()
    assert not [line for line in text.splitlines() if line.lstrip().startswith("GF-FORGED")]


@pytest.mark.parametrize("make", [linux, windows], ids=["linux", "windows"])
def test_every_command(make: Callable[[Path], Path], tmp_path: Path) -> None:
    """Report, inspect, apply, revert, a refusal and a plan file, as JSON and as text."""
    root = str(make(tmp_path / "guest"))
    choices = ["--target", "aws-nitro", "--accept", "*", "--policy", "network=dhcp"]
    report = run("report", root, *choices, "--format", "json")
    assert report.returncode in (0, 1, 3), report.stderr.decode()
    document = check_json(report.stdout)
    facts, changes = document["facts"], document["changes"]
    assert isinstance(facts, dict) and isinstance(changes, list)
    assert len(facts) > 30 and changes
    check_text(run("report", root, *choices).stdout)
    check_json(run("inspect", root, "--target", "aws-nitro", "--format", "json").stdout)
    check_text(run("inspect", root, "--target", "aws-nitro").stdout)
    plan = tmp_path / "plan.json"
    plan.write_bytes(report.stdout)
    before = snapshot(root)
    applied = run("apply", root, "--plan", str(plan), "--format", "json", "--progress")
    assert applied.returncode == 0, applied.stderr.decode()
    check_json(applied.stdout)
    for event in applied.stderr.splitlines():
        check_json(event)
    assert snapshot(root) != before
    check_text(run("revert", root).stdout)
    assert snapshot(root) == before
    check_text(run("apply", root, "--plan", str(plan)).stdout)
    check_json(run("revert", root, "--format", "json").stdout)
    assert snapshot(root) == before


def snapshot(root: str) -> dict[bytes, bytes]:
    found = {}
    for folder, _, names in os.walk(os.fsencode(root)):
        for name in names:
            path = os.path.join(folder, name)
            if b"/var/lib/guestfix" not in path:
                with open(path, "rb") as stream:
                    found[path] = stream.read()
    return found


def test_errors_too(tmp_path: Path) -> None:
    odd = os.path.join(os.fsencode(tmp_path), NAME)
    os.mkdir(odd)
    failed = run("report", os.fsdecode(odd), "--format", "json")
    assert failed.returncode not in (0, 1, 70)
    assert check_json(failed.stdout)["error"]
    check_text(failed.stderr)
    check_text(run("report", os.fsdecode(odd)).stderr)
    check_text(run("apply", os.fsdecode(odd), "--plan", os.fsdecode(odd) + "/x").stderr)


def test_backends_and_an_unknown_command() -> None:
    check_json(run("backends", "--format", "json").stdout)
    check_text(run("backends").stdout)
    check_text(run(os.fsdecode(b"x" + ODD)).stderr)


TEXTS = st.text(st.characters(codec=None, categories=None))


@given(TEXTS)
def test_safe_text_is_utf8_and_stays(text: str) -> None:
    for make in (utf8, clean, one_line):
        safe = make(text)
        safe.encode("utf-8")
        assert make(safe) == safe
    assert utf8(text) == text or not _is_utf8(text)
    shown = one_line(text)
    assert not [char for char in shown if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Cs") and char != "\t"]


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


@given(st.dictionaries(TEXTS, TEXTS))
def test_json_is_utf8(document: dict[str, str]) -> None:
    text = to_json(document)
    text.encode("utf-8")
    assert json.loads(text) == {utf8(key): utf8(value) for key, value in document.items()} or len(
        {utf8(key) for key in document}
    ) < len(document)
