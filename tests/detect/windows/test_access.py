"""Remote Desktop through the guest's own firewall, and automatic logon."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.detect.windows.access import _fields, _holds, rdp_profiles
from guestfix.formats.windows.regf import Hive
from guestfix.formats.windows.registry import Registry
from tests.build.windows import codes, hive, learn, make
from tests.build.windows_texts import SERVICES, C, service

RULES = rf"{SERVICES}\SharedAccess\Parameters\FirewallPolicy"
ON = "v2.28|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=3389|"


def guest(*rules: str, port: int | None = None, denied: int = 0) -> str:
    text = service("TermService", 3, 32) + f'[{C}\\Control\\Terminal Server]\n"fDenyTSConnections"=dword:{denied}\n'
    if port is not None:
        text += f'[{C}\\Control\\Terminal Server\\WinStations\\RDP-Tcp]\n"PortNumber"=dword:{port:x}\n'
    text += f'[{RULES}\\StandardProfile]\n"EnableFirewall"=dword:1\n[{RULES}\\FirewallRules]\n'
    return text + "".join(f'"rule{number}"="{rule}"\n' for number, rule in enumerate(rules))


EVERY = ["Domain", "Private", "Public"]


@pytest.mark.parametrize(
    ("rules", "profiles"),
    [
        ([ON], EVERY),
        ([ON.replace("3389", "3380-3390")], EVERY),
        ([ON.replace("3389", "80,3389")], EVERY),
        ([ON.replace("LPort=3389|", "LPort=80|LPort=3389|")], EVERY),
        ([ON.replace("3389", "3390")], []),
        ([ON.replace("TRUE", "FALSE")], []),
        ([ON.replace("Dir=In", "Dir=Out")], []),
        ([ON.replace("Protocol=6", "Protocol=17")], []),
        ([ON, ON.replace("Allow", "Block")], []),
        ([ON + "Profile=Private|Profile=Domain|"], ["Domain", "Private"]),
        ([ON + "Profile=Domain|", ON + "Profile=Public|"], ["Domain", "Public"]),
        (["", "|||", "no rule"], []),
    ],
)
def test_rules_of_the_firewall(tmp_path: Path, rules: list[str], profiles: list[str]) -> None:
    facts, findings = learn(make(tmp_path, guest(*rules)))
    assert facts.value("windows.rdp.profiles") == profiles
    assert facts.value("windows.rdp.firewall") is bool(profiles)
    assert ("GF-WINDOWS-RDP" in codes(findings)) is not bool(profiles)
    assert ("GF-WINDOWS-RDP-PROFILE" in codes(findings)) is (bool(profiles) and "Public" not in profiles)


def test_another_port(tmp_path: Path) -> None:
    facts, findings = learn(make(tmp_path, guest(ON, port=3390)))
    assert (facts.value("windows.rdp.port"), facts.value("windows.rdp.firewall")) == (3390, False)
    (found,) = [one for one in findings if one.code == "GF-WINDOWS-RDP"]
    assert "port 3390" in found.summary
    facts, _ = learn(make(tmp_path / "b", guest(ON.replace("3389", "3390"), port=3390)))
    assert facts.value("windows.rdp.firewall") is True


def test_a_rule_of_a_group_policy_counts(tmp_path: Path) -> None:
    policy = f'[Policies\\Microsoft\\WindowsFirewall\\FirewallRules]\n"{{x}}"="{ON}"\n'
    facts, _ = learn(make(tmp_path, guest(), policy))
    assert facts.value("windows.rdp.profiles") == EVERY


def test_a_password_in_clear_is_told(tmp_path: Path) -> None:
    key = "[Microsoft\\Windows NT\\CurrentVersion\\Winlogon]\n"
    text = f'{key}"AutoAdminLogon"="1"\n"DefaultPassword"="secret"\n'
    _, findings = learn(make(tmp_path, "", text))
    (found,) = [one for one in findings if one.code == "GF-WINDOWS-AUTOLOGON"]
    assert "in clear" in found.summary and "secret" not in str(found)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="v2.|=ActionAllow,-0123456789", max_size=80), st.integers(0, 65535))
def test_law_any_rule_text(text: str, port: int) -> None:
    assert all(isinstance(values, list) for values in _fields(text).values())
    assert _holds(text, port) in (True, False)
    view = Registry(Hive.open(hive("[a]")), "SYSTEM", "")
    assert rdp_profiles(view, "ControlSet001", port) == []
