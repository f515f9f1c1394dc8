r"""Windows settings that decide whether a guest comes up alone and can be reached: services, disks, RDP, filters."""

from __future__ import annotations

import re
from functools import partial

from guestfix.actions.windows.registry import disable_service, editing, editing_system, hive_path, reader, root_of, seen
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.system import OS_VERSION
from guestfix.base.catalog.facts.windows import (
    WINDOWS_AGENTS,
    WINDOWS_LEFTOVER_SERVICES,
    WINDOWS_ORPHAN_FILTERS,
    WINDOWS_RDP_ENABLED,
    WINDOWS_UNATTEND_FILE,
)
from guestfix.base.edit import Edit
from guestfix.base.patterns import regex
from guestfix.detect.windows.access import FIREWALL, rdp_port, rdp_profiles
from guestfix.detect.windows.state import DISK_CLASSES
from guestfix.editors.windows import unattend
from guestfix.formats.windows.files import has_driver
from guestfix.formats.windows.regf import REG_DWORD, REG_MULTI_SZ, REG_SZ, Hive
from guestfix.formats.windows.services import AUTO, DEMAND, DISABLED, is_orphan, is_protected, products_of

RDP_RULE = regex(r"remotedesktop-(usermode-)?in-(tcp|udp)\Z", re.IGNORECASE)
OLD_PORT = "{port}:TCP:*:Enabled:@xpsp2res.dll,-22009"
OWN_RULE = "guestfix-RemoteDesktop-In-TCP"
OWN_TEXT = (
    r"v2.0|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort={port}|App=%SystemRoot%\system32\svchost.exe"
    r"|Svc=termservice|Name=Remote Desktop (guestfix)|"
)


def disable_leftovers(bench: Workbench, *, services: list[str]) -> None:
    """Disable services of the old platform's guest software; what comes with Windows is never touched.

    A driver that a class or device names as its filter stays too, since the device would not start.
    """
    disabled: list[str] = []
    with editing_system(bench) as (hive, controls):
        filters = {name for control in controls for name in _filters(hive, control)}
        for name in services:
            if is_protected(name) or name.lower() in filters:
                text = f"the service {name} is needed by Windows and was left alone"
                bench.find("GF-WINDOWS-LEFT-ALONE", "info", text, *seen(bench, WINDOWS_LEFTOVER_SERVICES))
                continue
            changed = [disable_service(hive, control, name) for control in controls]
            if any(changed):
                disabled.append(name)
    if disabled:
        folded = {name.lower() for name in disabled}
        products = products_of(bench.target.tables.get("windows-products", {}))
        for product in (one for one in products if folded & set(one.services)):
            names = ", ".join(name for name in disabled if name.lower() in product.services)
            done = f"disabled {names} ({product.name})"
            bench.follow_up(done if product.first else f"{done}; uninstall the software when the guest runs")
            if product.first:
                text = f"{product.name}: {product.first}; its files and its entry among the programs stay"
                remedy = "uninstall it on the old platform before the guest moves, or remove it by hand afterwards"
                bench.find("GF-WINDOWS-UNINSTALL-FIRST", "info", text, *seen(bench, WINDOWS_AGENTS), remedy=remedy)


def _filters(hive: Hive, control: str) -> set[str]:
    """Return the services that a setup class names as filters, in lower case."""
    view = reader(hive)
    base = rf"{control}\Control\Class"
    paths = [rf"{base}\{guid}" for guid in view.names(base)]
    kinds = ("UpperFilters", "LowerFilters")
    return {one.lower() for path in paths for kind in kinds for one in view.texts(path, kind)}


def remove_orphan_filters(bench: Workbench) -> None:
    """Take filters whose driver is gone off the classes of disks, volumes, CD drives, keyboard and mouse."""
    removed: dict[str, None] = {}
    with editing_system(bench) as (hive, controls):
        for control in controls:
            for guid in DISK_CLASSES:
                for kind in ("UpperFilters", "LowerFilters"):
                    removed |= dict.fromkeys(
                        _clean_filters(bench, hive, control, rf"{control}\Control\Class\{guid}", kind)
                    )
    if removed:
        text = f"filters without a driver removed: {', '.join(removed)}"
        bench.find("GF-WINDOWS-FILTERS", "info", text, *seen(bench, WINDOWS_ORPHAN_FILTERS))


def _clean_filters(bench: Workbench, hive: Hive, control: str, path: str, kind: str) -> list[str]:
    view = reader(hive)
    root = root_of(bench)
    names, there = view.texts(path, kind), partial(has_driver, bench.fs, root)
    orphans = [name for name in names if is_orphan(view, control, name, there, root)]
    if not orphans:
        return []
    left = [name for name in names if name not in orphans]
    if left:
        hive.set_value(path, kind, REG_MULTI_SZ, left)
    else:
        hive.delete_value(path, kind)
    return orphans


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
