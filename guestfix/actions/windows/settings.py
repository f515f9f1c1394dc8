r"""Windows settings that decide whether a guest comes up alone and can be reached: Remote Desktop, the answer file."""

from __future__ import annotations

import re

from guestfix.actions.windows.registry import editing, editing_system, hive_path, reader, root_of, seen
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.system import OS_VERSION
from guestfix.base.catalog.facts.windows import (
    WINDOWS_RDP_ENABLED,
    WINDOWS_UNATTEND_FILE,
)
from guestfix.base.edit import Edit
from guestfix.base.patterns import regex
from guestfix.detect.windows.access import FIREWALL, rdp_port, rdp_profiles
from guestfix.editors.windows import unattend
from guestfix.formats.windows.regf import REG_DWORD, REG_SZ, Hive
from guestfix.formats.windows.services import AUTO, DEMAND, DISABLED

RDP_RULE = regex(r"remotedesktop-(usermode-)?in-(tcp|udp)\Z", re.IGNORECASE)
OLD_PORT = "{port}:TCP:*:Enabled:@xpsp2res.dll,-22009"
OWN_RULE = "guestfix-RemoteDesktop-In-TCP"
OWN_TEXT = (
    r"v2.0|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort={port}|App=%SystemRoot%\system32\svchost.exe"
    r"|Svc=termservice|Name=Remote Desktop (guestfix)|"
)


def allow_rdp(bench: Workbench) -> None:
    """Switch Remote Desktop on and let it through the guest's firewall; what a domain's policy says stays."""
    old = str(bench.facts.value(OS_VERSION, "")).startswith("5.")
    with editing_system(bench) as (hive, controls):
        for control in controls:
            hive.set_value(rf"{control}\Control\Terminal Server", "fDenyTSConnections", REG_DWORD, 0)
            service = rf"{control}\Services\TermService"
            if hive.get(service, "Start") == DISABLED:
                hive.set_value(service, "Start", REG_DWORD, AUTO if old else DEMAND)
            _open_firewall(hive, control)
    policy = r"Policies\Microsoft\Windows NT\Terminal Services"
    with editing(bench, hive_path(bench, "SOFTWARE")) as hive:
        denied = hive.get(policy, "fDenyTSConnections")
    if denied not in (None, 0):
        text = "a group policy forbids Remote Desktop; it wins over the setting of this guest"
        bench.find(
            "GF-WINDOWS-RDP-POLICY", "warning", text, *seen(bench, WINDOWS_RDP_ENABLED), remedy="change the policy"
        )


def _open_firewall(hive: Hive, control: str) -> None:
    """Switch on the rules that come with Windows; where they don't open the port everywhere, add one that does."""
    rules = rf"{control}\{FIREWALL}\FirewallRules"
    view, port = reader(hive), rdp_port(reader(hive), control)
    for name in view.value_names(rules):
        text = view.text(rules, name)
        if RDP_RULE.match(name) and "|Active=FALSE|" in text:
            hive.set_value(rules, name, REG_SZ, text.replace("|Active=FALSE|", "|Active=TRUE|"))
    if view.has(rules):
        if "Public" not in rdp_profiles(view, control, port):
            hive.set_value(rules, OWN_RULE, REG_SZ, OWN_TEXT.format(port=port))
        return
    for profile in ("StandardProfile", "DomainProfile"):
        if view.has(rf"{control}\{FIREWALL}\{profile}"):
            ports = rf"{control}\{FIREWALL}\{profile}\GloballyOpenPorts\List"
            hive.set_value(ports, f"{port}:TCP", REG_SZ, OLD_PORT.format(port=port))


def answer_file(bench: Workbench, *, arch: str, locale: str) -> None:
    r"""Make or complete the answer file that the first start of a sysprepped guest reads.

    That is the one that ``Setup\UnattendFile`` names, else ``Panther\Unattend\unattend.xml``, else
    ``Panther\unattend.xml``, which is made where none exists. Raises EditError as unattend.merge does.
    """
    path = _answer_path(bench)
    before = bench.fs.content(path)
    result = unattend.merge(before if isinstance(before, bytes) else None, arch=arch, locale=locale)
    edit = result if isinstance(result, Edit) else Edit(result)
    if edit.content is not before:
        bench.fs.put(path, edit.content)
    for note in edit.notes:
        bench.note(note, path)


def _answer_path(bench: Workbench) -> str:
    root = root_of(bench)
    places = [f"{root}/Panther/Unattend/unattend.xml", f"{root}/Panther/unattend.xml"]
    named = str(bench.facts.value(WINDOWS_UNATTEND_FILE, ""))
    if named[:3].lower() == "c:\\" and ".." not in named:
        places.insert(0, "/" + named[3:].replace("\\", "/"))
    return next((path for path in places if bench.fs.stat(path) is not None), places[-1])
