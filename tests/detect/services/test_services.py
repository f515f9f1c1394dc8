"""What is known of reaching a guest: SSH, init systems, firewalls, users with keys."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.facts import Facts, Unknown
from guestfix.detect.services import access as services
from guestfix.detect.system.initsystem import Services
from guestfix.detect.system.programs import ENOUGH
from guestfix.pack.model import Target
from tests.build.facts import told
from tests.build.tree import build

TARGET = Target("t", "t")
WANTS = "etc/systemd/system/multi-user.target.wants"
UNIT = "usr/lib/systemd/system"


def enabled(unit: str) -> dict[str, object]:
    return {f"{UNIT}/{unit}": "[Unit]\n", f"{WANTS}/{unit}": ("link", f"/{UNIT}/{unit}")}


def facts_of(root: Path, files: dict[str, object]) -> Facts:
    build(root, {"etc/os-release": "ID=x\n", **files})
    facts = Facts()
    facts.put("os.family", "linux")
    assert services.detect(DirectoryGuest(str(root)), facts, TARGET) == []
    return facts


SCRIPT = {"etc/init.d/ssh": "", "etc/rc2.d/S16ssh": ("link", "../init.d/ssh")}
SYSTEMD = {"usr/lib/systemd/systemd": "", "sbin/init": ("link", "/usr/lib/systemd/systemd")}
DANGLING = {f"{WANTS}/sshd.service": ("link", f"/{UNIT}/sshd.service")}
STATES = [
    ("enabled", enabled("sshd.service"), "on"),
    ("installed only", {f"{UNIT}/sshd.service": ""}, "off"),
    ("masked", {f"{UNIT}/sshd.service": "", "etc/systemd/system/sshd.service": ("link", "/dev/null")}, "masked"),
    ("nothing", {}, "absent"),
    ("Debian's name", enabled("ssh.service"), "on"),
    ("by socket", {f"{UNIT}/ssh.service": "", **enabled("ssh.socket")}, "on"),
    ("a leftover link", {**DANGLING, f"{UNIT}/x.service": ""}, "absent"),
    ("a link in an excerpt", DANGLING, "on"),
    ("SysV, Red Hat", {"etc/rc.d/init.d/sshd": "", "etc/rc.d/rc3.d/S55sshd": ("link", "../init.d/sshd")}, "on"),
    ("SysV, Debian", {"etc/init.d/ssh": "", "etc/rc2.d/S16ssh": ("link", "../init.d/ssh")}, "on"),
    ("a script that systemd passes over", {**SCRIPT, f"{UNIT}/ssh.service": "", **SYSTEMD}, "off"),
    ("a script whose unit is masked", {**SCRIPT, "etc/systemd/system/ssh.service": ("link", "/dev/null")}, "masked"),
    ("a script beside a unit, on sysvinit", {**SCRIPT, f"{UNIT}/ssh.service": "", "sbin/init": ""}, "on"),
    ("SysV, SUSE", {"etc/init.d/sshd": "", "etc/init.d/rc3.d/S11sshd": ("link", "../sshd")}, "on"),
    ("SysV, off", {"etc/init.d/sshd": "", "etc/rc3.d/K25sshd": ("link", "../init.d/sshd")}, "off"),
    ("upstart", {"etc/init/ssh.conf": "start on filesystem\n"}, "on"),
    ("OpenRC", {"etc/init.d/sshd": "", "etc/runlevels/default/sshd": ("link", "/etc/init.d/sshd")}, "on"),
    ("OpenRC, off", {"etc/init.d/sshd": "", "etc/runlevels/default/local": ("link", "/etc/init.d/local")}, "off"),
    ("runit", {"etc/sv/sshd/run": "", "etc/runit/runsvdir/default/sshd": ("link", "/etc/sv/sshd")}, "on"),
    ("runit, off", {"etc/sv/sshd/run": ""}, "off"),
    ("upstart, by hand", {"etc/init/ssh.conf": "", "etc/init/ssh.override": "manual\n"}, "off"),
]


@pytest.mark.parametrize(("title", "files", "state"), STATES, ids=[one[0] for one in STATES])
def test_service_states(tmp_path: Path, title: str, files: dict[str, object], state: str) -> None:
    facts = facts_of(tmp_path, files)
    assert told(facts, "ssh.service")["state"] == state, title
    assert facts.value("ssh.enabled") == (None if state == "absent" else state == "on")
    assert state == "absent" or facts.evidence("ssh.service")


def whole() -> dict[str, object]:
    return {f"usr/bin/program{number}": "" for number in range(ENOUGH)}


def test_missing_is_said_of_whole_systems_only(tmp_path: Path) -> None:
    assert isinstance(facts_of(tmp_path / "a", {})["ssh.installed"].value, Unknown)
    assert facts_of(tmp_path / "b", whole()).value("ssh.installed") is False
    assert facts_of(tmp_path / "c", {**whole(), "usr/sbin/sshd": ""}).value("ssh.installed") is True
    assert facts_of(tmp_path / "d", {"usr/sbin/dropbear": ""}).value("ssh.installed") is True


CONFIGS = [
    # title, files, ports, addresses
    ("nothing said", {"etc/ssh/sshd_config": "#Port 22\n#ListenAddress 0.0.0.0\n"}, [22], []),
    ("another port", {"etc/ssh/sshd_config": "Port 2222\n"}, [2222], []),
    ("two ports, odd spacing", {"etc/ssh/sshd_config": "port=22\nPORT\t 2022\n"}, [22, 2022], []),
    ("one address", {"etc/ssh/sshd_config": "ListenAddress 10.0.0.5\n"}, [22], ["10.0.0.5"]),
    ("any address too", {"etc/ssh/sshd_config": "ListenAddress 10.0.0.5\nListenAddress ::\n"}, [22], []),
    ("any address and port", {"etc/ssh/sshd_config": "ListenAddress 0.0.0.0:2222\n"}, [22], []),
    ("in a Match block", {"etc/ssh/sshd_config": "Match User x\nPort 99\n"}, [22], []),
    ("no number", {"etc/ssh/sshd_config": "Port ssh\nPort 99999\nPort 0\nPort " + "0" * 5000 + "22\n"}, [22], []),
    (
        "drop-ins",
        {"etc/ssh/sshd_config": "Include /etc/ssh/sshd_config.d/*.conf\n", "etc/ssh/sshd_config.d/a.conf": "Port 24\n"},
        [24],
        [],
    ),
]


@pytest.mark.parametrize(("title", "files", "ports", "addresses"), CONFIGS, ids=[one[0] for one in CONFIGS])
def test_sshd_config(tmp_path: Path, title: str, files: dict[str, object], ports: Any, addresses: Any) -> None:
    facts = facts_of(tmp_path, files)
    assert (facts.value("ssh.ports"), facts.value("ssh.addresses")) == (ports, addresses), title


FIREWALLD = enabled("firewalld.service")
UFW = {"etc/ufw/ufw.conf": "ENABLED=yes\n", "etc/default/ufw": 'DEFAULT_INPUT_POLICY="DROP"\n'}
NFT = enabled("nftables.service")
DROP = "table inet f { chain i { type filter hook input priority 0; policy drop; %s } }\n"
ZONE = '<?xml version="1.0"?>\n<zone>\n  %s\n</zone>\n'

FIREWALLS = [
    # title, files, active, ssh
    ("none", {}, [], "open"),
    ("firewalld as it came", FIREWALLD, ["firewalld"], "open"),
    (
        "firewalld switched off",
        {f"{UNIT}/firewalld.service": "", "etc/firewalld/zones/public.xml": ZONE % ""},
        [],
        "open",
    ),
    (
        "a zone with ssh",
        {**FIREWALLD, "etc/firewalld/zones/public.xml": ZONE % '<service name="ssh"/>'},
        ["firewalld"],
        "open",
    ),
    (
        "ssh in a comment",
        {**FIREWALLD, "etc/firewalld/zones/public.xml": ZONE % '<!-- <service name="ssh"/> -->'},
        ["firewalld"],
        "closed",
    ),
    (
        "a rich rule in a comment",
        {**FIREWALLD, "etc/firewalld/zones/public.xml": ZONE % '<!-- <rule/> -->\n<service name="ssh"/>'},
        ["firewalld"],
        "open",
    ),
    (
        "by port",
        {**FIREWALLD, "etc/firewalld/zones/public.xml": ZONE % '<port protocol="tcp" port="20-22"/>'},
        ["firewalld"],
        "open",
    ),
    (
        "by a rich rule",
        {**FIREWALLD, "etc/firewalld/zones/public.xml": ZONE % '<rule><service name="ssh"/><accept/></rule>'},
        ["firewalld"],
        "limited",
    ),
    (
        "another default zone",
        {
            **FIREWALLD,
            "etc/firewalld/firewalld.conf": "DefaultZone=mine\n",
            "usr/lib/firewalld/zones/mine.xml": '<zone target="ACCEPT"></zone>',
        },
        ["firewalld"],
        "open",
    ),
    ("the zone drop", {**FIREWALLD, "etc/firewalld/firewalld.conf": "DefaultZone=drop\n"}, ["firewalld"], "closed"),
    (
        "ssh moved, its service not",
        {
            **FIREWALLD,
            "etc/firewalld/zones/public.xml": ZONE % '<service name="ssh"/>',
            "etc/ssh/sshd_config": "Port 2222\n",
        },
        ["firewalld"],
        "closed",
    ),
    (
        "ssh moved with its service",
        {
            **FIREWALLD,
            "etc/firewalld/zones/public.xml": ZONE % '<service name="ssh"/>',
            "etc/firewalld/services/ssh.xml": '<service><port protocol="tcp" port="2222"/></service>',
            "etc/ssh/sshd_config": "Port 2222\n",
        },
        ["firewalld"],
        "open",
    ),
    ("ufw", UFW, ["ufw"], "closed"),
    ("ufw switched off", {**UFW, "etc/ufw/ufw.conf": "ENABLED=no\n"}, [], "open"),
    (
        "ufw allows",
        {**UFW, "etc/ufw/user.rules": "### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in\n"},
        ["ufw"],
        "open",
    ),
    (
        "ufw allows an application",
        {**UFW, "etc/ufw/user.rules": "### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 OpenSSH - in\n"},
        ["ufw"],
        "open",
    ),
    (
        "ufw, from one network",
        {**UFW, "etc/ufw/user.rules": "### tuple ### allow any any 0.0.0.0/0 any 10.0.0.0/8 in\n"},
        ["ufw"],
        "limited",
    ),
    (
        "ufw, another port",
        {**UFW, "etc/ufw/user.rules": "### tuple ### allow tcp 80 0.0.0.0/0 any 0.0.0.0/0 in\n"},
        ["ufw"],
        "closed",
    ),
    (
        "SuSEfirewall2",
        {"etc/init.d/rc3.d/S01SuSEfirewall2_setup": "", "etc/sysconfig/SuSEfirewall2": 'FW_SERVICES_EXT_TCP="80"\n'},
        ["SuSEfirewall2"],
        "closed",
    ),
    (
        "SuSEfirewall2 allows",
        {**enabled("SuSEfirewall2.service"), "etc/sysconfig/SuSEfirewall2": 'FW_CONFIGURATIONS_EXT="sshd"\n'},
        ["SuSEfirewall2"],
        "open",
    ),
    (
        "iptables, Red Hat",
        {"etc/rc.d/rc3.d/S08iptables": "", "etc/sysconfig/iptables": "*filter\n:INPUT DROP\nCOMMIT\n"},
        ["iptables"],
        "closed",
    ),
    ("iptables switched off", {"etc/sysconfig/iptables": "*filter\n:INPUT DROP\nCOMMIT\n"}, [], "open"),
    (
        "iptables, Debian",
        {**enabled("netfilter-persistent.service"), "etc/iptables/rules.v4": "*filter\n:INPUT ACCEPT\nCOMMIT\n"},
        ["iptables"],
        "open",
    ),
    ("nftables", {**NFT, "etc/nftables.conf": DROP % ""}, ["nftables"], "closed"),
    ("nftables allows", {**NFT, "etc/nftables.conf": DROP % "tcp dport 22 accept"}, ["nftables"], "open"),
    (
        "nftables, in a file of its own",
        {**NFT, "etc/sysconfig/nftables.conf": 'include "/etc/nftables/*.nft"\n', "etc/nftables/a.nft": DROP % ""},
        ["nftables"],
        "closed",
    ),
]


@pytest.mark.parametrize(("title", "files", "active", "ssh"), FIREWALLS, ids=[one[0] for one in FIREWALLS])
def test_firewalls(tmp_path: Path, title: str, files: dict[str, object], active: list[str], ssh: str) -> None:
    facts = facts_of(tmp_path, files)
    assert (facts.value("firewall.active"), facts.value("firewall.ssh")) == (active, ssh), title
    assert not active or facts.evidence("firewall.ssh")


PASSWD = (
    "root:x:0:0:root:/root:/bin/bash\n"
    "daemon:x:1:1::/:/usr/sbin/nologin\n"
    "alice:x:1000:1000::/home/alice:/bin/bash\n"
    "bob:x:1001:1001::/home/bob:/bin/false\n"
    "nobody:x:65534:65534::/:/bin/sh\n"
    "+::::::\n"
    "odd line\n"
)
KEY = "ssh-ed25519 AAAAC3Nza alice\n"


@pytest.mark.parametrize(
    ("files", "with_key"),
    [
        ({}, None),
        ({"home": None}, None),
        ({"home/alice": None}, []),
        ({"home/alice/.ssh/authorized_keys": KEY}, ["alice"]),
        ({"home/alice/.ssh/authorized_keys": f'no-pty,command="echo Please log in as bob" {KEY}'}, []),
        ({"home/alice/.ssh/authorized_keys": "# none\n\n"}, []),
        ({"home/bob/.ssh/authorized_keys": KEY, "root/.ssh/authorized_keys": KEY}, []),
        ({"home/alice": ("link", "/srv/alice"), "srv/alice/.ssh/authorized_keys2": KEY}, ["alice"]),
    ],
)
def test_users_with_a_key(tmp_path: Path, files: dict[str, object], with_key: list[str]) -> None:
    facts = facts_of(tmp_path, {"etc/passwd": PASSWD, **files})
    assert facts.value("users.login") == ["alice"]
    assert facts.value("users.with_key") == with_key


def test_no_passwd_nothing_known(tmp_path: Path) -> None:
    assert isinstance(facts_of(tmp_path, {})["users.with_key"].value, Unknown)


def test_evidence_shows_no_password_hash(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, {"etc/passwd": "old:$1$secret:1000:1000::/home/old:/bin/sh\n"})
    assert "secret" not in str(facts.evidence("users.with_key"))


PIECES = [b"Port ", b"22", b"\n", b"Include *", b"x:y:1000:::/:/sh", b"<zone", b"=", b"### tuple ###"]
NOISE = st.one_of(st.binary(max_size=120), st.lists(st.sampled_from(PIECES), max_size=15).map(b" ".join))


@settings(max_examples=60, deadline=None)
@given(NOISE)
def test_hostile_files_are_survived(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    names = (
        "ssh/sshd_config",
        "passwd",
        "firewalld/zones/public.xml",
        "ufw/ufw.conf",
        "ufw/user.rules",
        "nftables.conf",
    )
    files: dict[str, object] = {f"etc/{name}": data for name in names}
    facts = facts_of(tmp_path_factory.mktemp("guest"), {**files, **FIREWALLD, **NFT})
    assert facts.value("firewall.ssh") in ("open", "limited", "closed")


def test_the_index_is_made_once(tmp_path: Path) -> None:
    build(tmp_path, enabled("a.service"))
    found = Services(DirectoryGuest(str(tmp_path)))
    assert [found.find([name]).state for name in ("a.service", "b.service")] == ["on", "absent"]


HUGE = [
    ("etc/firewalld/zones/public.xml", b"<!--" * 250_000),
    ("etc/firewalld/zones/public.xml", b"<port a='b'>" * 80_000),
    ("etc/nftables.conf", b"table ip f { set s { elements = { " + b"80, " * 100_000 + b"} }\n chain i {"
     + b"type filter hook input priority 0; policy drop;\n" + b"tcp dport @s accept\n" * 20_000 + b"} }"),
    ("etc/nftables.conf", b"{" * 500_000),
    ("etc/nftables.conf", b'"' * 1_000_000),
    ("etc/ssh/sshd_config", b"Include *\n" * 6000),
    ("etc/passwd", b"a:x:1000:1000::/:/bin/sh\n" * 40_000),
    ("etc/ufw/user.rules", b"### tuple ### allow " * 50_000),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data"), HUGE, ids=range(len(HUGE)))
def test_huge_files_take_no_time(tmp_path: Path, name: str, data: bytes) -> None:
    start = time.process_time()
    facts_of(tmp_path, {**FIREWALLD, **NFT, **UFW, name: data})
    assert time.process_time() - start < 30
