r"""Windows networking: addresses by DHCP, adapters that are gone, routes that say the same twice.

Source: "TCP/IP and NBT configuration parameters for Windows" (Tcpip\Parameters\Interfaces).
"""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.actions.windows.registry import editing_system, hive_path, reader, root_of, seen
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.system import OS_VERSION
from guestfix.base.catalog.facts.windows import WINDOWS_DNS_SEARCH, WINDOWS_DNS_SUFFIX, WINDOWS_NICS
from guestfix.base.catalog.records.windows import WindowsNic
from guestfix.base.patterns import regex
from guestfix.detect.windows.netservices import NETWORK_SERVICES
from guestfix.detect.windows.state import NET_CLASS
from guestfix.formats.windows.regf import REG_DWORD, Hive
from guestfix.formats.windows.services import AUTO, DISABLED

INTERFACES = r"Services\Tcpip\Parameters\Interfaces"
CLIENT = r"Services\Dhcp"
ROUTES = r"Services\Tcpip\Parameters\PersistentRoutes"
STATIC = (
    "IPAddress",
    "SubnetMask",
    "DefaultGateway",
    "DefaultGatewayMetric",
    "NameServer",
    "IPAutoconfigurationAddress",
)
"""Values that hold a static setup; IP version 4."""
BUSES = ("PCI", "VMBUS", "XENBUS", "XENVIF", "XEN")


def dhcp(bench: Workbench, *, policy: str) -> None:
    r"""Make every interface with a static address use DHCP; what it had is written down and said.

    With the policy ``dhcp-first`` only interfaces that have a default gateway change.

    The addresses go, since Windows keeps them for the adapter that is gone and then calls them in use; so do the
    persistent default routes to their gateways, which Windows (since Vista) writes beside a static gateway. A DHCP
    client that was switched off, as on hardened servers, is switched on.
    The hive's original and ``guestfix\network-before.txt`` in the Windows folder keep them.
    """
    first = policy == "dhcp-first"
    records = [nic for nic in bench.facts.value(WINDOWS_NICS, []) if nic.static and (nic.gateways or not first)]
    with editing_system(bench) as (hive, controls):
        for control in controls:
            for guid in reader(hive).names(rf"{control}\{INTERFACES}"):
                if records and hive.get(rf"{control}\{CLIENT}", "Start") == DISABLED:
                    hive.set_value(rf"{control}\{CLIENT}", "Start", REG_DWORD, AUTO)
                gateways = reader(hive).texts(rf"{control}\{INTERFACES}\{guid}", "DefaultGateway")
                if (gateways or not first) and _to_dhcp(hive, rf"{control}\{INTERFACES}\{guid}"):
                    _drop_default_routes(hive, control, gateways)
    if not records:
        return
    lines = _write_down(bench, records)
    for line in lines:
        bench.follow_up(f"static address replaced by DHCP: {line}; give it out as a reservation if it is still wanted")
    proofs = seen(bench, WINDOWS_NICS)
    bench.find("GF-NETWORK-STATIC-LOST", "info", f"{len(lines)} static address setup(s) became DHCP", *proofs)


def network_services(bench: Workbench) -> None:
    """Give services that networking rests on, where they are switched off, the start type that Windows gives them."""
    old = str(bench.facts.value(OS_VERSION, "")).startswith("5.")
    done: dict[str, None] = {}
    with editing_system(bench) as (hive, controls):
        for control in controls:
            for one in NETWORK_SERVICES:
                path = rf"{control}\Services\{one.name}"
                start = one.before_vista if old and one.before_vista is not None else one.start
                if hive.get(path, "Start") == DISABLED and hive.set_value(path, "Start", REG_DWORD, start):
                    done[one.name] = None
    if done:
        text = f"services of the network were switched on: {', '.join(done)}"
        bench.follow_up(f"{text}; see why they were off")


def _write_down(bench: Workbench, nics: list[WindowsNic]) -> list[str]:
    r"""Keep what interfaces had in ``guestfix\network-before.txt``, unless that is there; return its lines."""
    lines = [_record(nic) for nic in nics]
    general = _general(bench) if lines else []
    path = f"{root_of(bench)}/guestfix/network-before.txt"
    if lines and bench.fs.stat(path) is None:
        bench.fs.put(path, "".join(f"{line}\r\n" for line in [*lines, *general]).encode("utf-8", "replace"))
    return lines


def _general(bench: Workbench) -> list[str]:
    """Return what holds for all interfaces: the computer's DNS suffix, and those that names are tried with."""
    suffix, search = bench.facts.value(WINDOWS_DNS_SUFFIX, ""), bench.facts.value(WINDOWS_DNS_SEARCH, [])
    return [
        *([f"computer suffix {suffix}"] if suffix else []),
        *([f"search list {' '.join(search)}"] if search else []),
    ]


def _to_dhcp(hive: Hive, path: str) -> bool:
    if hive.get(path, "EnableDHCP") != 0:
        return False
    hive.set_value(path, "EnableDHCP", REG_DWORD, 1)
    for name in STATIC:
        hive.delete_value(path, name)
    return True


def _drop_default_routes(hive: Hive, control: str, gateways: list[str]) -> None:
    path = rf"{control}\{ROUTES}"
    for name in reader(hive).value_names(path):
        fields = [field.strip() for field in name.split(",")]
        if fields[:2] == ["0.0.0.0", "0.0.0.0"] and len(fields) > 2 and fields[2] in gateways:
            hive.delete_value(path, name)


def _record(nic: WindowsNic) -> str:
    masks = " ".join(nic.masks).split()
    addresses = enumerate(" ".join(nic.addresses).split())
    pairs = [f"{one}/{masks[index] if index < len(masks) else '?'}" for index, one in addresses]
    name = f"{nic.name} {nic.guid}" if nic.name else f"{nic.guid}"
    parts = [f"interface {name}", f"address {' '.join(pairs)}"]
    parts += [f"gateway {' '.join(nic.gateways)}"] if any(nic.gateways) else []
    parts += [f"dns {' '.join(nic.dns)}"] if nic.dns else []
    parts += [f"wins {' '.join(nic.wins)}"] if nic.wins else []
    parts += [f"suffix {nic.suffix}"] if nic.suffix else []
    return ", ".join(parts)


def dedupe_routes(bench: Workbench) -> None:
    """Remove persistent routes that name the same destination and gateway as another with a lower metric.

    Those to addresses of a cloud's own (169.254.0.0/16) by a gateway go too: agents of clouds add them for the network
    that the guest leaves, and keep the new cloud's from being reached. A default route to a gateway of the old network
    stays and is said: it may compete with DHCP's.
    """
    metadata: dict[str, None] = {}
    with editing_system(bench) as (hive, controls):
        for control in controls:
            path = rf"{control}\{ROUTES}"
            for name in _duplicates(reader(hive).value_names(path)):
                hive.delete_value(path, name)
            for name in reader(hive).value_names(path):
                if _to_metadata(name):
                    hive.delete_value(path, name)
                    metadata[name] = None
        current = rf"{controls[0]}\{ROUTES}" if controls else ""
        defaults = [one for one in reader(hive).value_names(current) if regex(r"0\.0\.0\.0,[^,]*,[^,]+,").match(one)]
        proofs = [reader(hive, "SYSTEM", hive_path(bench, "SYSTEM")).evidence(current)] if defaults else []
    if metadata:
        bench.follow_up(f"routes to services of the old cloud by its gateway were removed: {'; '.join(metadata)}")
    for name in defaults:
        text = f"a persistent default route to {name.split(',')[2]} competes with the one that DHCP gives"
        bench.find("GF-WINDOWS-ROUTE", "warning", text, *proofs, remedy="route delete 0.0.0.0, when the guest runs")


def _to_metadata(name: str) -> bool:
    """Tell whether a route leads to link-local addresses by a gateway, which is no way to reach them elsewhere."""
    fields = [field.strip() for field in name.split(",")]
    return len(fields) == 4 and fields[0].startswith("169.254.") and not fields[2].startswith(("169.254.", "0.0.0.0"))


def _duplicates(names: list[str]) -> Iterator[str]:
    """Yield the routes to drop. A route's name is ``destination,mask,gateway,metric``."""
    kept: dict[tuple[str, ...], str] = {}
    for name in sorted(names, key=_metric):
        parts = tuple(part.strip() for part in name.split(","))
        if len(parts) != 4:
            continue
        if parts[:3] in kept:
            yield name
        else:
            kept[parts[:3]] = name


def _metric(name: str) -> tuple[int, str]:
    last = name.rpartition(",")[2].strip()
    return (int(last) if last.isdecimal() and len(last) < 10 else 1 << 31, name)


def remove_adapters(bench: Workbench) -> None:
    """Remove the network adapters of the old platform, so that no hidden one holds a name or an address.

    What goes: the devices of the network class on virtual buses and PCI, their interfaces and connections.
    Windows finds adapters that are still there again, with DHCP.
    """
    removed: dict[str, None] = {}
    with editing_system(bench) as (hive, controls):
        for control in controls:
            for device, instance in _adapters(hive, control):
                guid = _connection(hive, control, device)
                hive.delete_key(device, recursive=True)
                removed[instance] = None
                if guid:
                    hive.delete_key(rf"{control}\{INTERFACES}\{guid}", recursive=True)
                    hive.delete_key(rf"{control}\Control\Network\{NET_CLASS}\{guid}", recursive=True)
    if removed:
        _write_down(bench, [nic for nic in bench.facts.value(WINDOWS_NICS, []) if nic.static])
        text = f"network adapters removed: {', '.join(removed)}"
        bench.find("GF-WINDOWS-ADAPTERS", "info", text, *seen(bench, WINDOWS_NICS))


def _adapters(hive: Hive, control: str) -> list[tuple[str, str]]:
    """Return (key, name) of every device of the network class."""
    view, found = reader(hive), []
    for bus in BUSES:
        for device in view.names(rf"{control}\Enum\{bus}"):
            for instance in view.names(rf"{control}\Enum\{bus}\{device}"):
                path = rf"{control}\Enum\{bus}\{device}\{instance}"
                if view.text(path, "ClassGUID").lower() == NET_CLASS.lower():
                    found.append((path, rf"{bus}\{device}"))
    return found


def _connection(hive: Hive, control: str, device: str) -> str:
    driver = reader(hive).text(device, "Driver")
    return reader(hive).text(rf"{control}\Control\Class\{driver}", "NetCfgInstanceId") if driver else ""
