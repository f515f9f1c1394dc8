"""Which lines keep NetworkManager from a NIC that is new."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.catalog.facts.network import NETWORK_MANAGER, NETWORK_STACK
from guestfix.base.facts import Facts
from guestfix.detect.network.managed import new_nic, refusals
from tests.build.tree import build

CONF = "etc/NetworkManager/conf.d"
SHIPPED = "usr/lib/NetworkManager/conf.d"
UBUNTU = "[keyfile]\nunmanaged-devices=*,except:type:wifi\n"
RULE = 'SUBSYSTEM=="net", {}, ENV{{NM_UNMANAGED}}="1"\n'


@pytest.mark.parametrize(
    ("files", "lines"),
    [
        ({f"{CONF}/a.conf": "[keyfile]\nunmanaged-devices=*\n"}, ["a.conf:2"]),
        ({f"{CONF}/a.conf": "[keyfile]\nunmanaged-devices=type:ethernet\n"}, ["a.conf:2"]),
        ({f"{CONF}/a.conf": "[keyfile]\nunmanaged-devices=interface-name:en*\n"}, ["a.conf:2"]),
        ({f"{CONF}/a.conf": "[keyfile]\nunmanaged-devices=driver:ena\n"}, ["a.conf:2"]),
        ({f"{CONF}/a.conf": "[keyfile]\nunmanaged-devices=interface-name:ens192;mac:00:50:56:aa:bb:cc\n"}, []),
        ({f"{CONF}/a.conf": "[keyfile]\nunmanaged-devices=*,except:type:ethernet\n"}, []),
        ({f"{CONF}/a.conf": UBUNTU, f"{CONF}/b.conf": "[keyfile]\nunmanaged-devices=none\n"}, []),
        ({f"{CONF}/a.conf": UBUNTU, f"{CONF}/b.conf": "[keyfile]\nunmanaged-devices+=type:bridge\n"}, ["b.conf:2"]),
        ({f"{SHIPPED}/a.conf": UBUNTU}, ["a.conf:2"]),
        ({f"{SHIPPED}/a.conf": UBUNTU, f"{CONF}/a.conf": ""}, []),
        ({f"{CONF}/a.conf": "[device]\nmanaged=0\n"}, ["a.conf:2"]),
        ({f"{CONF}/a.conf": "[device-1]\nmatch-device=type:wifi\nmanaged=0\n"}, []),
        ({f"{CONF}/a.conf": "[device-1]\nmanaged=0\n", f"{CONF}/b.conf": "[device-2]\nmanaged=1\n"}, []),
        ({"etc/udev/rules.d/9.rules": RULE.format('KERNEL=="e*"')}, ["9.rules:1"]),
        ({"etc/udev/rules.d/9.rules": RULE.format('ATTR{address}=="00:50:56:aa:bb:cc"')}, []),
        ({"etc/udev/rules.d/9.rules": RULE.format('ATTR{address}!="00:50:56:aa:bb:cc"')}, ["9.rules:1"]),
        ({"etc/udev/rules.d/9.rules": RULE.format('ENV{ID_VENDOR}=="x"')}, []),
    ],
)
def test_what_keeps_a_new_nic_out(tmp_path: Path, files: dict[str, str], lines: list[str]) -> None:
    guest = DirectoryGuest(str(build(tmp_path / "root", {"etc/os-release": "ID=rhel\n", **files})))
    facts = Facts()
    facts.put(NETWORK_STACK, "networkmanager")
    facts.put(NETWORK_MANAGER, "networkmanager")
    found = refusals(guest, facts, new_nic(facts, "dhcp", "ena"))
    assert [f"{one.path.rpartition('/')[2]}:{one.line}" for one in found] == lines
    facts.put(NETWORK_MANAGER, "networkd")
    assert refusals(guest, facts, new_nic(facts, "dhcp", "ena")) == []
