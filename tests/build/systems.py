"""Minimal guest trees: the release files of each distribution's time, one program, one kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.facts import Facts
from guestfix.compat import Verdict, judge
from guestfix.pack.cache import load_pack
from guestfix.pack.model import Target
from tests.build.detection import detect_all
from tests.build.tree import build, bzimage, elf

SYSTEMS = load_pack().systems
TARGET = Target("t", "t", drivers={"storage": (), "network": ()}, windows_drivers={"storage": (), "network": ()})

_RELEASE_LINES = {
    "rhel": "Red Hat Enterprise Linux Server release {} (Name)\n",
    "centos": "CentOS Linux release {} (Core)\n",
    "ol": "Oracle Linux Server release {}\n",
    "rocky": "Rocky Linux release {} (Blue Onyx)\n",
    "almalinux": "AlmaLinux release {} (Name)\n",
}
_FILES = {"rhel": "redhat-release", "centos": "centos-release", "ol": "oracle-release"}


def release_files(ident: str, version: str) -> dict[str, str]:
    """Return the files by which this version of a distribution is known."""
    major = int(version.split(".")[0].split()[0])
    if ident in _RELEASE_LINES:
        files = {f"etc/{_FILES.get(ident, ident + '-release')}": _RELEASE_LINES[ident].format(version)}
        if ident == "ol":
            files["etc/redhat-release"] = _RELEASE_LINES["rhel"].format(version)
        if major >= 7:
            said = str(major) if ident == "centos" else version
            files["etc/os-release"] = f'NAME="Any"\nID="{ident}"\nVERSION_ID="{said}"\n'
        return files
    if ident == "debian":
        point = {"etc/debian_version": version + "\n"}
        return point if major < 7 else point | {"etc/os-release": f'ID=debian\nVERSION_ID="{major}"\n'}
    if ident == "sles":
        digits = version.split(" SP")
        if major < 12:
            level = digits[1] if len(digits) > 1 else "0"
            text = f"SUSE Linux Enterprise Server {digits[0]} (x86_64)\nVERSION = {digits[0]}\nPATCHLEVEL = {level}\n"
            return {"etc/SuSE-release": text}
        return {"etc/os-release": f'ID="sles"\nVERSION_ID="{".".join(digits)}"\n'}
    if ident == "ubuntu":
        return {"etc/lsb-release": f"DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE={version}\n", "etc/debian_version": "x/sid\n"}
    return {"etc/os-release": f"ID={ident}\nVERSION_ID={version}\n"}


def kernel_release(ident: str, version: str, kernel: Any) -> str:
    """Return a release as the distribution would write it for an entry of the table's kernels."""
    series = kernel if isinstance(kernel, str) else kernel.get("series", "2.6.39")
    flavour = "" if isinstance(kernel, str) else kernel["flavour"]
    major = version.split(".")[0].split()[0]
    if ident == "debian":
        return f"{series}-9-amd64"
    if ident == "ubuntu":
        return f"{series}{'.0' if series.count('.') == 1 else ''}-20-generic"
    if ident == "sles":
        return f"{series}{'.3' if series.count('.') == 1 else ''}-0.7-default"
    if ident == "fedora":
        return f"{series}-300.fc{major}.x86_64"
    if ident == "amzn":
        return f"{series}.55-75.amzn{major}.x86_64"
    tag = {"UEK": f"el{major}uek", "RHCK": f"el{major}"}.get(flavour, flavour or f"el{major}")
    return f"{series}-400.17.1.{tag}.x86_64"


def learn(root: Path, ident: str, version: str, *releases: str, machine: int = 62) -> Facts:
    """Build the tree and return all facts about it."""
    files: dict[str, object] = dict(release_files(ident, version))
    files["bin/sh"] = elf(machine, bits=32 if machine in (3, 40) else 64)
    for release in releases:
        files[f"boot/vmlinuz-{release}"] = bzimage(release)
        files[f"lib/modules/{release}/modules.dep"] = ""
    build(root, files)
    facts = Facts()
    detect_all(DirectoryGuest(str(root)), facts, TARGET, SYSTEMS)
    return facts


def verdict_of(root: Path, ident: str, version: str, *releases: str, machine: int = 62) -> Verdict:
    """Build the tree and return what the table says of it."""
    return judge(SYSTEMS, learn(root, ident, version, *releases, machine=machine))
