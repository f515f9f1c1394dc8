"""What else decides whether a NIC comes up: naming, old bindings, cloud-init, resolv.conf."""

from __future__ import annotations

from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.base.catalog.facts.network import (
    NETWORK_BINDINGS,
    NETWORK_CLOUD_INIT,
    NETWORK_CLOUD_INIT_DATASOURCE,
    NETWORK_PREDICTABLE_NAMES,
    NETWORK_RESOLV_CONF,
)
from guestfix.base.catalog.facts.system import SYSTEM_UDEV
from guestfix.base.catalog.records.network import NameBinding, Nic, ResolvConf
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence, Facts, Finding, Unknown
from guestfix.base.guest import GuestFS
from guestfix.base.patterns import regex
from guestfix.base.record import replace
from guestfix.detect.files import exists, is_link, names_in, read_small
from guestfix.formats.ini import get
from guestfix.formats.network import networkd, udevnet
from guestfix.formats.network.nic import MAX_CONFIG, kernel_name, norm_mac

RULES = "/etc/udev/rules.d"
PIN = f"{RULES}/70-guestfix-net.rules"
"""The rules file by which guestfix gives old names to new NICs."""

LINKS = "/etc/systemd/network"
_RULE_FOLDERS = ("/usr/lib/udev/rules.d", "/lib/udev/rules.d")
_NAMING = ("80-net-setup-link.rules", "80-net-name-slot.rules")


def bindings(guest: GuestFS) -> list[NameBinding]:
    """Return every udev rule and .link file that ties a NIC's name to old hardware (guestfix's own left out)."""
    found: list[NameBinding] = []
    for name in names_in(guest, RULES):
        path = f"{RULES}/{name}"
        if name.endswith(".rules") and not name.startswith(".") and path != PIN:
            data = read_small(guest, path, MAX_CONFIG) or b""
            found += [_binding("udev", path, one.line, one.name, one.mac, one.text) for one in udevnet.name_rules(data)]
    for name in names_in(guest, LINKS):
        if name.endswith(".link") and not name.startswith("."):
            data = read_small(guest, f"{LINKS}/{name}", MAX_CONFIG) or b""
            bound = networkd.link_binding(data)
            if bound:
                new = get(networkd.parse(data), "Link", "Name") or ""
                mac = norm_mac(bound.partition("=")[2]) if "MACAddress=" in bound else ""
                found.append(_binding("link", f"{LINKS}/{name}", 1, new, mac, bound))
    return found


def with_old_macs(nics: list[Nic], bound: list[NameBinding]) -> list[Nic]:
    """Return the NICs with the hardware addresses that udev rules and .link files gave their names to."""
    known = {one.name: one.mac for one in reversed(bound) if one.mac}
    return [replace(one, mac=known.get(one.name, "")) if not one.mac else one for one in nics]


def _binding(kind: str, path: str, line: int, name: str, mac: str, text: str) -> NameBinding:
    plain = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    name = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return NameBinding(kind, path, line, name, mac, plain[:300])


def predictable(guest: GuestFS, facts: Facts, names: list[str]) -> bool | None:
    """Tell whether udev renames a new NIC by its place (enp1s0); None where nothing shows it."""
    if "net.ifnames=0" in _kernel_args(facts):
        return False
    masked = [f"{RULES}/{name}" for name in _NAMING] + [f"{LINKS}/99-default.link"]
    if _emptied(guest, masked):
        return False
    shipped = [names_in(guest, folder) for folder in _RULE_FOLDERS]
    if any(name in names for names in shipped for name in _NAMING):
        return True
    if any(shipped) or facts.value(SYSTEM_UDEV) is False:
        return False
    return True if any(name.startswith("en") and not kernel_name(name) for name in names) else None


def _kernel_args(facts: Facts) -> list[str]:
    default = facts.value(BOOT_DEFAULT)
    return list(default.args) if default else []


def _emptied(guest: GuestFS, paths: list[str]) -> bool:
    """Tell whether one of the files is masked: an empty file, or a link to /dev/null."""
    for path in paths:
        try:
            found = guest.stat(path, follow=False)
            if found is None:
                continue
            if found.kind == "symlink" and guest.readlink(path) == "/dev/null":
                return True
            if found.kind == "file" and found.size == 0:
                return True
        except GuestError:
            continue
    return False


def cloud_init(guest: GuestFS, facts: Facts) -> tuple[str, Evidence | None]:
    """Return absent, disabled (all of it), network-disabled, or enabled (it writes the network at first boot).

    Source: cloud-init's documents "How to disable cloud-init", "Network configuration".
    """
    if not exists(guest, "/etc/cloud/cloud.cfg") and not exists(guest, "/etc/cloud/cloud.cfg.d"):
        return "absent", None
    if exists(guest, "/etc/cloud/cloud-init.disabled"):
        return "disabled", Evidence("/etc/cloud/cloud-init.disabled")
    identify = read_small(guest, "/etc/cloud/ds-identify.cfg") or b""
    for number, line in enumerate(identify.splitlines(), 1):
        if regex(rb"policy\s*:\s*disabled\b").match(line):
            return "disabled", Evidence("/etc/cloud/ds-identify.cfg", number, line.decode("utf-8", "replace"))
    for word, state in (("cloud-init=disabled", "disabled"), ("network-config=disabled", "network-disabled")):
        if word in _kernel_args(facts):
            entry = facts.value(BOOT_DEFAULT)
            return state, Evidence(entry.path if entry else "", entry.line if entry else 0, word)
    folder = "/etc/cloud/cloud.cfg.d"
    paths = ["/etc/cloud/cloud.cfg"] + [f"{folder}/{name}" for name in names_in(guest, folder) if name.endswith(".cfg")]
    for path in paths:
        for number, line in enumerate((read_small(guest, path) or b"").splitlines(), 1):
            if regex(rb"\s*network\s*:\s*\{\s*[\"']?config[\"']?\s*:\s*[\"']?disabled").match(line) or (
                regex(rb"\s+config\s*:\s*[\"']?disabled[\"']?\s*(#.*)?$").match(line)
            ):
                return "network-disabled", Evidence(path, number, line.decode("utf-8", "replace").strip())
    return "enabled", Evidence("/etc/cloud/cloud.cfg")


def no_datasource(guest: GuestFS) -> Evidence | None:
    """Return where cloud-init is told to look for no data source at all, as Ubuntu's installer leaves it."""
    folder = "/etc/cloud/cloud.cfg.d"
    for name in names_in(guest, folder):
        for number, line in enumerate((read_small(guest, f"{folder}/{name}") or b"").splitlines(), 1):
            if regex(rb"datasource_list\s*:\s*\[\s*[\"']?None[\"']?\s*\]").match(line):
                return Evidence(f"{folder}/{name}", number, line.decode("utf-8", "replace"))
    return None


def resolv_conf(guest: GuestFS) -> ResolvConf:
    """Return kind (file, link, missing), link target, whether it dangles offline, and the name servers."""
    path = "/etc/resolv.conf"
    linked = is_link(guest, path)
    data = read_small(guest, path)
    kind = "link" if linked else "file" if data is not None else "missing"
    target = ""
    if linked:
        try:
            target = guest.readlink(path)
        except GuestError:
            target = ""
    words = [line.split() for line in (data or b"").decode("utf-8", "replace").splitlines()]
    servers = [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]
    return ResolvConf(kind, target, linked and data is None, tuple(servers))


def resolver_findings(guest: GuestFS, resolv: ResolvConf) -> list[Finding]:
    """Return a finding where /etc/resolv.conf leads to a service that isn't there to write it."""
    target = resolv.target
    if "systemd/resolve" in target and not resolved_starts(guest):
        return [
            Finding(
                "GF-NETWORK-RESOLV-DANGLING",
                "warning",
                "/etc/resolv.conf leads to systemd-resolved's file, but systemd-resolved does not start at boot",
                (Evidence("/etc/resolv.conf", 0, f"-> {target}"),),
                "enable systemd-resolved, or make /etc/resolv.conf a file with a nameserver line",
            )
        ]
    if (
        resolv.kind == "link"
        and resolv.dangling
        and not target.startswith(("/run", "/var/run", "../run", "../var/run"))
    ):
        return [
            Finding(
                "GF-NETWORK-RESOLV-DANGLING",
                "warning",
                "/etc/resolv.conf is a link to a file that does not exist",
                (Evidence("/etc/resolv.conf", 0, f"-> {target}"),),
                "make it a file, or install what writes its target",
            )
        ]
    return []


def resolved_starts(guest: GuestFS) -> bool:
    """Tell whether systemd-resolved starts at boot."""
    unit = "systemd-resolved.service"
    folders = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
    wants = (f"{base}/{name}" for base in folders for name in names_in(guest, base) if name.endswith(".wants"))
    return any(unit in names_in(guest, folder) for folder in wants)


_EARLY = regex(r"(ip|ifname|nameserver|rd\.route|vlan|bond|bridge|team|BOOTIF)=")
_ANY = regex(r"ip=(|dhcp6?|auto6?|either6|link6|ibft|on|any|both|off|none|:+(dhcp6?|on|any|off|none))\Z")
"""``ip=`` without an address or an interface (dracut.cmdline(7), nfsroot.rst of the kernel)."""


def early_network(facts: Facts) -> list[Finding]:
    """Return a finding where the kernel's arguments make an initramfs set up the network of the old hardware."""
    bound = [arg for arg in _kernel_args(facts) if _EARLY.match(arg) and not _ANY.match(arg)]
    if not bound:
        return []
    entry = facts.value(BOOT_DEFAULT)
    place = Evidence(entry.path if entry else "", entry.line if entry else 0, " ".join(bound)[:300])
    summary = f"the kernel's arguments set up a network for the initramfs: {' '.join(bound)[:300]}"
    remedy = "ip=dhcp, or nothing where no file system is on the network, suits any NIC"
    return [Finding("GF-NETWORK-KERNEL-ARGS", "warning", summary, (place,), remedy)]


def put_state(guest: GuestFS, facts: Facts, names: list[str], bound: list[NameBinding]) -> list[Finding]:
    """Record naming, bindings, cloud-init and resolver facts; return what is wrong with them."""
    facts.put(NETWORK_BINDINGS, bound, *(Evidence(one.path, one.line, one.text) for one in bound))
    naming = predictable(guest, facts, names)
    facts.put(NETWORK_PREDICTABLE_NAMES, Unknown("no udev rules were seen") if naming is None else naming)
    state, where = cloud_init(guest, facts)
    facts.put(NETWORK_CLOUD_INIT, state, *((where,) if where else ()))
    none = no_datasource(guest) if state == "enabled" else None
    facts.put(NETWORK_CLOUD_INIT_DATASOURCE, "none" if none else "any", *((none,) if none else ()))
    resolv = resolv_conf(guest)
    facts.put(NETWORK_RESOLV_CONF, resolv, Evidence("/etc/resolv.conf"))
    return resolver_findings(guest, resolv) + early_network(facts)
