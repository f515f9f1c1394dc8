"""Roles of a Windows guest, and the software that it has for a platform or against viruses."""

from __future__ import annotations

from pathlib import Path

from tests.build.windows import codes, learn, make
from tests.build.windows_texts import C, service


def test_roles(tmp_path: Path) -> None:
    text = service("vmms", 2, 16) + f'[{C}\\Control\\ProductOptions]\n"ProductType"="LanmanNT"\n'
    software = '[Microsoft\\Windows NT\\CurrentVersion\\Server\\ServerLevels]\n"NanoServer"=dword:1\n'
    facts, findings = learn(make(tmp_path, text, software))
    assert facts.value("windows.hyperv_role") and facts.value("windows.domain_controller")
    assert facts.value("windows.nano")
    assert codes(findings) >= {"GF-WINDOWS-HYPERV-ROLE", "GF-WINDOWS-NANO", "GF-WINDOWS-DOMAIN-CONTROLLER"}
    blockers = {one.code for one in findings if one.severity == "blocker"}
    assert {"GF-WINDOWS-HYPERV-ROLE", "GF-WINDOWS-NANO"} <= blockers
    facts, findings = learn(make(tmp_path / "b", service("vmms", 4, 16)))
    assert facts.value("windows.hyperv_role") is False


def test_agents_in_the_list_of_programs(tmp_path: Path) -> None:
    base = "[Microsoft\\Windows\\CurrentVersion\\Uninstall\\"
    software = (
        f'{base}{{1}}]\n"DisplayName"="VMware Tools"\n"DisplayVersion"="12.4.0.1"\n{base}x]\n"DisplayName"="Other"\n'
    )
    software += f"{base}y]\n"
    facts, _ = learn(make(tmp_path, "", software))
    assert facts.value("windows.agents") == ["VMware Tools"]
    assert facts.value("windows.agent_versions") == {"VMware Tools": "12.4.0.1"}
    assert facts.value("windows.leftover_services") == []


def test_a_cluster_node(tmp_path: Path) -> None:
    facts, findings = learn(make(tmp_path, service("ClusSvc", 2, 16)))
    assert facts.value("windows.cluster") is True and "GF-WINDOWS-CLUSTER" in codes(findings)
    facts, findings = learn(make(tmp_path / "b", service("ClusSvc", 4, 16)))
    assert facts.value("windows.cluster") is False and "GF-WINDOWS-CLUSTER" not in codes(findings)


def test_agents_and_antivirus(tmp_path: Path) -> None:
    text = service("VMTools", 2, 16) + service("vmci", 0) + service("vmicheartbeat", 3, 32) + service("ekrn", 2, 16)
    text += service("VBoxService", 4, 16) + service("vgauthservice", 2, 16)
    facts, findings = learn(make(tmp_path, text))
    assert facts.value("windows.agents") == [
        "VMware Tools",
        "VirtualBox Guest Additions",
        "Hyper-V integration services",
    ]
    assert facts.value("windows.leftover_services") == ["VMTools", "vgauthservice"]
    assert facts.value("windows.antivirus") == ["ESET"]
    assert "GF-WINDOWS-ANTIVIRUS" in codes(findings)
