"""What netplan refuses among files that are nearly right, asked of its own generator where it is installed."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from guestfix.base.errors import EditError
from guestfix.formats.network import netplanrules
from guestfix.formats.network.netplan import merge
from guestfix.formats.yamltree import parse

GENERATORS = [Path(one) for one in ("/usr/libexec/netplan/generate", "/lib/netplan/generate")]
BASES = [
    """network:
  version: 2
  renderer: networkd
  ethernets:
    ens3:
      match:
        macaddress: "52:54:00:aa:bb:cc"
      set-name: lan0
      dhcp4: true
      dhcp4-overrides:
        route-metric: 100
        use-dns: false
      optional: true
      mtu: 1500
""",
    """network:
  version: 2
  ethernets:
    ens3:
      addresses:
        - 192.0.2.7/24
        - "2001:db8::7/64"
      gateway4: 192.0.2.1
      nameservers:
        addresses: [192.0.2.53, "2001:db8::53"]
        search: [example.org]
      routes:
        - to: 198.51.100.0/24
          via: 192.0.2.254
          metric: 50
          on-link: true
      routing-policy:
        - from: 192.0.2.0/24
          table: 100
          priority: 10
      link-local: [ipv6]
      accept-ra: no
""",
    """network:
  version: 2
  ethernets:
    ens3: {}
    ens4: {}
    ens5: {dhcp4: no}
  bonds:
    bond0:
      interfaces: [ens3, ens4]
      parameters:
        mode: active-backup
        primary: ens3
        mii-monitor-interval: 100
        arp-ip-targets: [192.0.2.1]
      dhcp-identifier: mac
  vlans:
    vlan5:
      id: 5
      link: bond0
      addresses: [192.0.2.9/24]
  bridges:
    br0:
      interfaces: [ens5]
      parameters:
        stp: false
        forward-delay: 4
        path-cost:
          ens5: 50
      dhcp4: yes
""",
    """network:
  version: 2
  renderer: NetworkManager
  ethernets:
    lan:
      match:
        name: en*
      dhcp6: true
      ipv6-privacy: true
      activation-mode: manual
  vrfs:
    vrf9:
      table: 9
      interfaces: [lan]
""",
]
VALUES = (
    *(
        "",
        "yes",
        "maybe",
        "-1",
        "5",
        "99999999999",
        "abc",
        "[]",
        "[a]",
        "{}",
        "{a: b}",
        "~",
        "null",
        "1.5",
        "0x10",
        "'5'",
    ),
    *("192.0.2.7", "192.0.2.7/24", "192.0.2.7/33", "192.0.2.300/24", "2001:db8::1", "2001:db8::1/64", "0.0.0.0/0"),
    *("en*", "networkd", "NetworkManager", "52:54:00:aa:bb:cc", "a b", "ens9", "manual", "default", "on", "!!int 5"),
)
WORDS = (
    "dhcp",
    "address",
    "gateway",
    "interface",
    "x",
    "mtu",
    "table",
    "id",
    "link",
    "interfaces",
    "version",
    "addresses",
)


def mutants(count: int, seed: int) -> Iterator[str]:
    """Yield files that differ from a right one in one or two places: a value, a key, a line, its indentation."""
    source = random.Random(seed)
    for _ in range(count):
        lines = source.choice(BASES).splitlines()
        for _ in range(source.choice((1, 1, 1, 2))):
            at = source.randrange(1, len(lines))
            head, colon, _ = lines[at].partition(": ")
            kind = source.randrange(7)
            if kind < 3 and (colon or lines[at].endswith(":")):
                lines[at] = f"{head.rstrip(':')}: {source.choice(VALUES)}".rstrip()
            elif kind == 3:
                indent = len(head) - len(head.lstrip())
                lines[at] = f"{head[:indent]}{source.choice(WORDS)}:{lines[at][len(head) + 1 :] if colon else ''}"
            elif kind == 4 and len(lines) > 3:
                del lines[at]
            elif kind == 5:
                lines[at] = (
                    source.choice((" ", "  ", "")) + lines[at].lstrip() if source.random() < 0.5 else f" {lines[at]}"
                )
            else:
                lines.insert(at, lines[at])
        yield "\n".join(lines) + "\n"


def refused(text: str) -> str:
    try:
        found = netplanrules.faults(parse(text.encode()))
    except EditError as error:
        return str(error)
    merged = merge([("a", text.encode())])
    unfit = netplanrules.unfit(merged.devices, merged.renderer)
    return found[0].what if found else next(iter(unfit.values()), "")


def by_netplan(generator: Path, folder: Path, text: str) -> str:
    (folder / "etc/netplan").mkdir(parents=True)
    path = folder / "etc/netplan/a.yaml"
    path.write_text(text)
    path.chmod(0o600)
    done = subprocess.run([generator, "--root-dir", folder], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr.strip() or f"ends with {done.returncode}"


def test_a_file_that_is_nearly_right_is_refused_where_netplan_refuses_it(tmp_path: Path) -> None:
    generator = next((one for one in GENERATORS if one.exists()), None)
    if generator is None:
        pytest.skip("netplan is not installed")
    texts = list(dict.fromkeys(mutants(500, 16)))
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(lambda one: by_netplan(generator, tmp_path / str(one[0]), one[1]), enumerate(texts)))
    wrong = [(text, ours, theirs) for text, theirs in zip(texts, said, strict=True)
             if bool(ours := refused(text)) != bool(theirs)]  # fmt: skip
    assert len(texts) > 300 and sum(map(bool, said)) > 100 and not all(said)
    assert not wrong, "\n\n".join(f"{text}\nours: {ours}\nnetplan: {theirs}" for text, ours, theirs in wrong[:12])
