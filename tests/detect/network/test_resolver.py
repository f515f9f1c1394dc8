"""Name servers of the old network that stay in use: found with the line that keeps them."""

from __future__ import annotations

import pytest

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.facts import Facts
from guestfix.detect.network import stacks
from guestfix.pack.model import Target
from tests.build.tree import build

RESOLV = {"etc/resolv.conf": "search x\nnameserver 198.51.100.53\nnameserver 127.0.0.1\n"}
WANTS = "etc/systemd/system/multi-user.target.wants"
NM = {f"{WANTS}/NetworkManager.service": "[Unit]\n", "etc/NetworkManager/system-connections/a.nmconnection":
      "[connection]\nid=a\ntype=ethernet\n"}  # fmt: skip
SUSE = {"etc/sysconfig/network/ifcfg-eth0": "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n"}
DEBIAN = {"etc/network/interfaces": "auto eth0\niface eth0 inet dhcp\n"}
CONF = "etc/NetworkManager/conf.d/{}.conf"
HOOK = "etc/dhcp/dhclient-enter-hooks.d/nodns"


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ({**NM, **RESOLV}, None),
        ({**NM, **RESOLV, CONF.format("a"): "[main]\ndns=none\n"}, ("/etc/NetworkManager/conf.d/a.conf", 2)),
        ({**NM, **RESOLV, CONF.format("a"): "[main]\ndns=none\n", CONF.format("b"): "[main]\ndns=default\n"}, None),
        ({**NM, "etc/resolv.conf": "nameserver 127.0.0.1\n", CONF.format("a"): "[main]\ndns=none\n"}, None),
        ({**NM, CONF.format("a"): "[global-dns-domain-*]\nservers=198.51.100.53\n"},
         ("/etc/NetworkManager/conf.d/a.conf", 2)),
        ({**NM, CONF.format("a"): "[global-dns-domain-*]\nservers=127.0.0.1\n"}, None),
        ({**SUSE, **RESOLV, "etc/sysconfig/network/config": 'NETCONFIG_DNS_POLICY=""\n'},
         ("/etc/sysconfig/network/config", 1)),
        ({**SUSE, **RESOLV, "etc/sysconfig/network/config": 'NETCONFIG_DNS_POLICY="auto"\n'}, None),
        ({**DEBIAN, **RESOLV, HOOK: "make_resolv_conf() { :; }\n"}, (f"/{HOOK}", 1)),
        ({**DEBIAN, **RESOLV, HOOK: "make_resolv_conf() { cat > /etc/resolv.conf; }\n"}, None),
    ],
)  # fmt: skip
def test_servers_that_stay(tmp_path, files, place):
    facts = Facts()
    facts.put("os.family", "linux")
    guest = DirectoryGuest(str(build(tmp_path, {"etc/os-release": "ID=x\n", **files})))
    found = [one for one in stacks.detect(guest, facts, Target("t", "t")) if one.code == "GF-NETWORK-RESOLV-FIXED"]
    assert [(one.evidence[-1].path, one.evidence[-1].line) for one in found] == ([place] if place else [])
    assert all("198.51.100.53" in one.summary and one.remedy for one in found)
