r"""Who gets into a Windows guest: by Remote Desktop, WinRM or OpenSSH and the guest's own firewall; automatic logon.

Sources: "FW_RULE" grammar of MS-GPFAS 2.2.2 (the firewall's rules as text), and the settings of Terminal Server.
"""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.base.catalog.facts.windows import (
    WINDOWS_AUTOLOGON,
    WINDOWS_RDP_ENABLED,
    WINDOWS_RDP_FIREWALL,
    WINDOWS_RDP_PORT,
    WINDOWS_RDP_PROFILES,
    WINDOWS_REMOTE_ACCESS,
)
from guestfix.base.facts import Evidence, Finding
from guestfix.detect.windows.os import VERSION
from guestfix.detect.windows.state import State
from guestfix.formats.windows.registry import Registry
from guestfix.formats.windows.services import AUTO, DISABLED, read_service

WINLOGON = VERSION + r"\Winlogon"
TERMINAL = r"Control\Terminal Server"
FIREWALL = r"Services\SharedAccess\Parameters\FirewallPolicy"
POLICY_RULES = r"Policies\Microsoft\WindowsFirewall\FirewallRules"
LISTENERS = r"Microsoft\Windows\CurrentVersion\WSMAN\Listener"
RDP_PORT, WINRM_PORT, WINRM_TLS_PORT, SSH_PORT = 3389, 5985, 5986, 22
NAMES = {"winrm": "WinRM", "ssh": "OpenSSH"}
PROFILES = ("Domain", "Private", "Public")


def learn_access(state: State) -> list[Finding]:
    """Put ``windows.rdp.*``, ``windows.remote_access`` and ``windows.autologon``; return who is kept out."""
    others = {name: proof for name, port, proof in _other_ways(state) if _is_open(state, port)}
    return [*_remote_access(state, others), *_logon(state)]


def _other_ways(state: State) -> Iterator[tuple[str, int, Evidence]]:
    """Yield (name, port, where it stands) of WinRM with a listener and OpenSSH, where they start by themselves."""
    winrm = read_service(state.system, state.control, "WinRM")
    listeners = state.software.names(LISTENERS)
    if winrm is not None and winrm.start == AUTO and listeners:
        path = rf"{LISTENERS}\{listeners[0]}"
        secure = "https" in listeners[0].lower()
        port = state.software.number(path, "Port") or (WINRM_TLS_PORT if secure else WINRM_PORT)
        yield "winrm", port, state.system.evidence(state.key(r"Services\WinRM"), "Start")
    sshd = read_service(state.system, state.control, "sshd")
    if sshd is not None and sshd.start == AUTO:
        yield "ssh", SSH_PORT, state.system.evidence(state.key(r"Services\sshd"), "Start")


def _is_open(state: State, port: int) -> bool:
    """Tell whether the firewall lets a TCP port in from a network that counts as public, or is off."""
    unguarded = not state.system.has(state.key(FIREWALL)) or _is_off(state)
    return unguarded or "Public" in rdp_profiles(state.system, state.control, port, state.software)


def rdp_port(system: Registry, control: str) -> int:
    """Return the TCP port of Remote Desktop."""
    return system.number(rf"{control}\{TERMINAL}\WinStations\RDP-Tcp", "PortNumber") or RDP_PORT


def rdp_profiles(system: Registry, control: str, port: int, software: Registry | None = None) -> list[str]:
    """Return the network profiles in which active rules of the firewall let this port in; none where one blocks it."""
    texts = _rule_texts(system, rf"{control}\{FIREWALL}\FirewallRules")
    texts += _rule_texts(software, POLICY_RULES) if software is not None else []
    found: set[str] = set()
    for rule in map(_fields, texts):
        if rule.get("active") != ["true"] or rule.get("dir") != ["in"] or rule.get("protocol", ["6"]) != ["6"]:
            continue
        if not any(_holds(ports, port) for ports in rule.get("lport", [])):
            continue
        if rule.get("action") == ["block"]:
            return []
        found |= set(rule.get("profile", [one.lower() for one in PROFILES]))
    if _legacy_ports(system, control, port):
        found |= {one.lower() for one in PROFILES}
    return [one for one in PROFILES if one.lower() in found]


def _rule_texts(view: Registry, path: str) -> list[str]:
    key = view.key(path)
    return [text for text in view.content(key).values() if isinstance(text, str)] if key is not None else []


def _fields(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for part in text.split("|")[:200]:
        name, equals, value = part.partition("=")
        if equals:
            found.setdefault(name.strip().lower(), []).append(value.strip().lower())
    return found


def _holds(ports: str, port: int) -> bool:
    """Tell whether a rule's list of ports (``3389``, ``3000-4000``, with commas) holds a port."""
    for part in ports.split(","):
        low, dash, high = (piece.strip() for piece in part.partition("-"))
        if low.isdecimal() and int(low[:6]) <= port <= int((high if dash and high.isdecimal() else low)[:6]):
            return True
    return False


def _legacy_ports(system: Registry, control: str, port: int) -> list[str]:
    """Return the entries for a port of the firewall of Windows XP and Server 2003."""
    paths = [rf"{control}\{FIREWALL}\{name}\GloballyOpenPorts\List" for name in ("StandardProfile", "DomainProfile")]
    texts = [system.text(path, f"{port}:TCP") for path in paths]
    return [text for text in texts if "enabled" in text.lower()]


RDP_CHOSEN = "see what else is told of Remote Desktop: switching it on does not suffice here"


def _remote_access(state: State, others: dict[str, Evidence]) -> Iterator[Finding]:
    system, facts = state.system, state.facts
    terminal = state.key(TERMINAL)
    service = read_service(system, state.control, "TermService")
    denied = system.number(terminal, "fDenyTSConnections")
    policy = state.software.number(r"Policies\Microsoft\Windows NT\Terminal Services", "fDenyTSConnections")
    denied = policy if policy is not None else denied
    enabled = denied == 0 and service is not None and service.start != DISABLED
    proof = system.evidence(terminal, "fDenyTSConnections")
    facts.put(WINDOWS_RDP_ENABLED, enabled, proof)
    port = rdp_port(system, state.control)
    facts.put(WINDOWS_RDP_PORT, port, system.evidence(rf"{terminal}\WinStations\RDP-Tcp", "PortNumber"))
    profiles = rdp_profiles(system, state.control, port, state.software)
    rules = state.key(FIREWALL + r"\FirewallRules")
    rule_proof = system.evidence(rules if system.has(rules) else state.key(FIREWALL))
    unguarded = not system.has(state.key(FIREWALL)) or _is_off(state)
    facts.put(WINDOWS_RDP_FIREWALL, bool(profiles) or unguarded, rule_proof)
    facts.put(WINDOWS_RDP_PROFILES, list(PROFILES) if unguarded else profiles, rule_proof)
    by_rdp = enabled and bool(profiles or unguarded)
    ways = [*(["rdp"] if by_rdp else []), *others]
    state.facts.put(WINDOWS_REMOTE_ACCESS, ways, *(proof if name == "rdp" else others[name] for name in ways))
    if not by_rdp:
        lack = f"the firewall doesn't let Remote Desktop (port {port}) through" if enabled else "Remote Desktop is off"
        chosen = state.facts.value("policy.windows_rdp") == "on"
        remedy = RDP_CHOSEN if chosen else "the policy windows_rdp=on switches it on"
        shown = " and ".join(NAMES[name] for name in others)
        text = f"{lack}; administrators come in by {shown}" if others else f"{lack}: the guest may not be reachable"
        severity = "info" if others else "warning"
        yield Finding("GF-WINDOWS-RDP", severity, text, (proof, rule_proof, *others.values()), remedy)
    elif not unguarded and "Public" not in profiles:
        text = f"the firewall lets Remote Desktop in only where the network counts as {' or '.join(profiles).lower()}"
        remedy = "a network that Windows has not seen before counts as public; the policy windows_rdp=on opens it there"
        yield Finding("GF-WINDOWS-RDP-PROFILE", "info", text, (rule_proof,), remedy)


def _is_off(state: State) -> bool:
    paths = [state.key(rf"{FIREWALL}\{name}") for name in ("StandardProfile", "PublicProfile")]
    there = [path for path in paths if state.system.has(path)]
    return bool(there) and all(state.system.number(path, "EnableFirewall") == 0 for path in there)


def _logon(state: State) -> Iterator[Finding]:
    on = state.software.number(WINLOGON, "AutoAdminLogon") == 1
    proof = state.software.evidence(WINLOGON, "AutoAdminLogon")
    state.facts.put(WINDOWS_AUTOLOGON, on, proof)
    if not on:
        return
    user = state.software.text(WINLOGON, "DefaultUserName")
    text = f"Windows logs on as {user or 'a user'} by itself at each start; whoever sees the console has a session"
    if state.software.text(WINLOGON, "DefaultPassword"):
        text += ", and the password stands in the registry in clear"
    remedy = "the policy windows_autologon=off switches it off"
    yield Finding("GF-WINDOWS-AUTOLOGON", "warning", text, (proof,), remedy)
