"""What netplan refuses: by our tables, and by netplan itself where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from guestfix.formats.network.netplan import merge
from guestfix.formats.network.netplanrules import faults, undefined
from guestfix.formats.yamltree import parse

HEAD = "network:\n  version: 2\n  ethernets:\n    ens3:\n"
GOOD = [
    HEAD + "      dhcp4: yes\n      dhcp4-overrides: {use-dns: false, route-metric: 50}\n",
    HEAD + "      addresses: [192.0.2.7/24, '2001:db8::7/64', 192.0.2.8/24: {label: 'ens3:1', lifetime: 0}]\n",
    HEAD
    + "      addresses: [192.0.2.7/24]\n      routes: [{to: 0.0.0.0/0, via: 192.0.2.1, metric: 5, on-link: true}]\n",
    HEAD
    + "      match: {macaddress: '00:50:56:aa:bb:cc'}\n      set-name: lan0\n      optional: true\n      mtu: 9000\n",
    HEAD
    + "      nameservers: {addresses: [192.0.2.53], search: [x.example]}\n      accept-ra: n\n      link-local: []\n",
    "network:\n  ethernets:\n    renderer: networkd\n    ens3: {}\n",
    "network:\n  version: 2\n  ethernets: {ens3: {}}\n  vlans:\n    v5: {id: 5, link: ens3}\n",
    "network:\n  ethernets: {ens3: &a {dhcp4: true}, ens4: *a}\n",
    "",
]
BAD = [
    (HEAD + "      gateway: 192.0.2.1\n", 5, "unknown key 'gateway'"),
    (HEAD + "      addresses: [192.0.2.7]\n", 5, "no prefix length"),
    (HEAD + "      addresses: [192.0.2.700/24]\n", 5, "an address is none"),
    (HEAD + "      addresses: [192.0.2.7/99]\n", 5, "prefix length"),
    (HEAD + "      addresses: 192.0.2.7/24\n", 5, "addresses is no list"),
    (HEAD + "      gateway4: 2001:db8::1\n", 5, "gateway4 is no address"),
    (HEAD + "      dhcp4: maybe\n", 5, "neither true nor false"),
    (HEAD + "      mtu: big\n", 5, "mtu is no number"),
    (HEAD + "      nameservers: 192.0.2.53\n", 5, "nameservers is no mapping"),
    (HEAD + "      nameservers: {addresses: [dns.example]}\n", 5, "a name server is no address"),
    (HEAD + "      nameservers: {address: [192.0.2.53]}\n", 5, "unknown key 'address'"),
    (HEAD + "      routes: [{via: 192.0.2.1}]\n", 5, "no destination"),
    (HEAD + "      routes: [{to: 10.0.0.0/8, gw: 192.0.2.1}]\n", 5, "unknown key 'gw'"),
    (HEAD + "      match: {mac: '00:50:56:aa:bb:cc'}\n", 5, "unknown key 'mac'"),
    ("network:\n", 1, "no mapping"),
    ("network:\n  ethernets:\n    ens4:\n", 3, "ens4 is no mapping"),
    ("network:\n  version: 1\n", 2, "is not 2"),
    ("network:\n  ethernet:\n    ens3: {}\n", 2, "unknown key 'ethernet'"),
    ("network:\n  ethernets:\n    ens3: dhcp4\n", 3, "ens3 is no mapping"),
    ("network:\n  bonds:\n    b0: {interfaces: [], parameters: {mod: 1}}\n", 3, "unknown key 'mod'"),
]
NEEDY = "network:\n  bonds:\n    bond0: {interfaces: [ens3, ens4]}\n  ethernets: {ens3: {}}\n"


def netplan_takes(folder: Path, text: str) -> bool:
    path = folder / "etc/netplan/a.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    path.chmod(0o600)
    return subprocess.run(["netplan", "generate", "--root-dir", str(folder)], capture_output=True).returncode == 0


needs_netplan = pytest.mark.skipif(shutil.which("netplan") is None, reason="netplan is not installed")


@pytest.mark.parametrize("text", GOOD)
def test_what_netplan_takes(text):
    assert faults(parse(text.encode())) == []


@pytest.mark.parametrize(("text", "line", "what"), BAD)
def test_what_netplan_refuses(text, line, what):
    found = faults(parse(text.encode()))
    assert [one.line for one in found] == [line] and what in found[0].what
    assert found[0].unknown == ("unknown key" in what)


def test_a_port_that_no_file_defines():
    assert undefined(merge([("a", NEEDY.encode())]).devices) == {"bond0": "ens4"}
    more = b"network: {ethernets: {ens4: {}}}\n"
    assert undefined(merge([("a", NEEDY.encode()), ("b", more)]).devices) == {}


@needs_netplan
@pytest.mark.parametrize("text", [*GOOD, NEEDY, *(one[0] for one in BAD)])
def test_netplan_says_the_same(tmp_path, text):
    ours = not faults(parse(text.encode())) and not undefined(merge([("a", text.encode())]).devices)
    assert netplan_takes(tmp_path, text) == ours
