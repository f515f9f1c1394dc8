"""Packet filters, as the kernel would answer a first TCP packet to port 22 that comes from anywhere."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.formats.network import iptables, nftables
from guestfix.formats.network.firewall import port_in


@pytest.mark.parametrize(
    ("text", "inside"),
    [("22", True), ("ssh", True), ("20:30", True), ("20-30", True), (":30", True), ("80,22", True), ("1024:", False)]
    + [("2222", False), ("", False), ("23-", False), ("a-b", False), ("9" * 5000, False)],
)
def test_ports(text: str, inside: bool) -> None:
    assert port_in(text, 22) is inside


RED_HAT = """*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT
-A INPUT -p icmp -j ACCEPT
-A INPUT -i lo -j ACCEPT
{}
-A INPUT -j REJECT --reject-with icmp-host-prohibited
-A FORWARD -j REJECT --reject-with icmp-host-prohibited
COMMIT
"""
SSH = "-A INPUT -m state --state NEW -m tcp -p tcp --dport 22 -j ACCEPT"

COMMENTED = '-A INPUT -p tcp --dport 22 -m comment --comment "a -j DROP b" -j ACCEPT'
IPTABLES = [
    # title, rules, answer, line
    ("as it came", RED_HAT.format(SSH), "open", 8),
    ("ssh taken out", RED_HAT.format("# none"), "closed", 9),
    ("another port", RED_HAT.format("-A INPUT -p tcp --dport 2222 -j ACCEPT"), "closed", 9),
    ("several ports", RED_HAT.format("-A INPUT -p tcp -m multiport --dports 80,22 -j ACCEPT"), "open", 8),
    ("from one network", RED_HAT.format("-A INPUT -s 10.0.0.0/8 -p tcp --dport 22 -j ACCEPT"), "limited", 8),
    ("on one interface", RED_HAT.format("-A INPUT -i eth0 -p tcp --dport ssh -j ACCEPT"), "limited", 8),
    ("not that interface", RED_HAT.format("-A INPUT ! -i lo -p tcp --dport 22 -j ACCEPT"), "open", 8),
    ("the older negation", RED_HAT.format("-A INPUT -i ! lo -p tcp --dport 22 -j ACCEPT"), "open", 8),
    ("udp only", RED_HAT.format("-A INPUT -p udp --dport 22 -j ACCEPT"), "closed", 9),
    ("dropped first", RED_HAT.format("-A INPUT -p tcp --dport 22 -j DROP\n" + SSH), "closed", 8),
    ("dropped from some", RED_HAT.format("-A INPUT -s 192.0.2.1 -j DROP\n" + SSH), "open", 9),
    ("at a rate", RED_HAT.format("-A INPUT -p tcp --dport 22 -m limit --limit 3/min -j ACCEPT"), "limited", 8),
    ("logged, then accepted", RED_HAT.format("-A INPUT -p tcp --dport 22 -j LOG\n" + SSH), "open", 9),
    ("a comment in quotes", RED_HAT.format(COMMENTED), "open", 8),
    (
        "a chain of its own",
        "*filter\n:INPUT DROP [0:0]\n:IN-NEW - [0:0]\n-A INPUT -m conntrack --ctstate NEW -j IN-NEW\n"
        "-A IN-NEW -p udp -j RETURN\n-A IN-NEW -p tcp --dport 22 -j ACCEPT\nCOMMIT\n",
        "open",
        6,
    ),
    (
        "fail2ban returns",
        "*filter\n:INPUT DROP\n:f2b-sshd -\n-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd\n"
        "-A f2b-sshd -j RETURN\n-A INPUT -p tcp --dport 22 -j ACCEPT\n",
        "open",
        6,
    ),
    ("a policy alone", "*filter\n:INPUT DROP [0:0]\nCOMMIT\n", "closed", 2),
    ("an open policy", "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n", "open", 2),
    ("another table", "*nat\n:INPUT ACCEPT\n-A INPUT -j DROP\nCOMMIT\n*filter\n:INPUT ACCEPT\nCOMMIT\n", "open", 6),
    ("inserted", "*filter\n:INPUT ACCEPT\n-A INPUT -j ACCEPT\n-I INPUT -p tcp --dport 22 -j DROP\n", "closed", 4),
    ("a loop of chains", "*filter\n:INPUT DROP\n:A -\n-A INPUT -j A\n-A A -j A\n", "limited", 5),
    (
        "options of two words",
        RED_HAT.format("-A INPUT -p tcp --tcp-flags SYN,ACK SYN --dport 22 -j ACCEPT"),
        "open",
        8,
    ),
    (
        "a set by name",
        RED_HAT.format("-A INPUT -m set ! --match-set bad src -p tcp --dport 2222 -j ACCEPT"),
        "closed",
        9,
    ),
    ("options without a word", RED_HAT.format("-A INPUT -p tcp --dport 22 --syn -j ACCEPT"), "open", 8),
    ("words that go on", RED_HAT.format("-A INPUT -p tcp --dport 22 -m comment --comment x\\ -j -j ACCEPT"), "open", 8),
    ("a quote that is open", RED_HAT.format('-A INPUT -p tcp --dport 22 -m comment --comment "x -j ACCEPT'), "open", 8),
    ("a policy by command", "*filter\n-P INPUT DROP\n-A INPUT -p tcp --dport 22 -j ACCEPT\n", "open", 3),
]  # fmt: skip


@pytest.mark.parametrize(("title", "rules", "state", "line"), IPTABLES, ids=[one[0] for one in IPTABLES])
def test_iptables(title: str, rules: str, state: str, line: int) -> None:
    answer = iptables.judge(rules.encode(), 22)
    assert answer is not None
    assert (answer.state, answer.line) == (state, line), answer


def test_no_input_chain_no_answer() -> None:
    assert iptables.judge(b"*nat\n:OUTPUT ACCEPT\n", 22) is None
    assert iptables.judge(b"", 22) is None


NFT = """#!/usr/sbin/nft -f
flush ruleset
table inet filter {{
	set trusted {{ type ipv4_addr; flags interval; elements = {{ 192.0.2.0/24 }} }}
	set ports {{
		type inet_service
		elements = {{ 22, 80 }}
	}}
	chain input {{
		type filter hook input priority 0; policy {};
		ct state established,related accept
		iif "lo" accept  # loop { back
		{}
	}}
	chain services {{
		tcp dport {{ http, ssh }} accept
	}}
	chain output {{
		type filter hook output priority filter; policy accept;
	}}
}}
"""

NFTABLES = [
    # title, policy, rule, answer, line
    ("closed", "drop", "icmp type echo-request accept", "closed", 10),
    ("an open policy", "accept", "counter", "open", 10),
    ("by port", "drop", "tcp dport 22 accept", "open", 13),
    ("by name", "drop", "tcp dport ssh counter packets 0 bytes 0 accept", "open", 13),
    ("by set", "drop", "tcp dport { 80, 22 } ct state new accept", "open", 13),
    ("by a set on two lines", "drop", "tcp dport { 80,\n\t\t\t22 } accept", "open", 13),
    ("by range", "drop", "tcp dport 20-25 accept", "open", 13),
    ("by a named set", "drop", "tcp dport @ports accept", "open", 13),
    ("by an unknown set", "drop", "tcp dport @nobody accept", "limited", 13),
    ("by a jump", "drop", "ct state new jump services", "open", 16),
    ("by a verdict map", "drop", "tcp dport vmap { 22 : accept, 80 : drop }", "open", 13),
    ("mapped to drop", "accept", "tcp dport vmap { 22 : drop, 80 : accept }", "closed", 13),
    ("not in the map", "drop", "tcp dport vmap { 80 : accept }", "closed", 10),
    ("states by map", "drop", "ct state vmap { established : accept, related : accept, invalid : drop }", "closed", 10),
    ("new ones by map", "drop", "ct state vmap { new : accept, established : accept }", "closed", 10),
    ("a map that is missing", "drop", "tcp dport 22 accept; ct state vmap", "open", 13),
    ("from a network", "drop", "ip saddr @trusted tcp dport 22 accept", "limited", 13),
    ("not from lo", "drop", 'iifname != "lo" tcp dport 22 accept', "open", 13),
    ("on one interface", "drop", 'iifname "ens192" tcp dport 22 accept', "limited", 13),
    ("any but one port", "drop", "tcp dport != 80 accept", "open", 13),
    ("any but ssh", "drop", "tcp dport != 22 accept", "closed", 10),
    ("other protocols", "drop", "udp dport 22 accept; ip protocol icmp accept", "closed", 10),
    ("by protocol", "drop", "meta l4proto tcp accept", "open", 13),
    ("refused with a reason", "accept", "tcp dport 22 reject with icmpx type admin-prohibited", "closed", 13),
    ("two rules a line", "drop", "udp dport 53 accept; tcp dport 22 accept", "open", 13),
    ("at a rate", "drop", "tcp dport 22 limit rate 10/minute accept", "limited", 13),
    ("IPv6 only", "drop", "ip6 saddr fe80::/10 accept", "closed", 10),
    ("with a comment", "drop", 'tcp dport 22 accept comment "drop; it }"', "open", 13),
]


@pytest.mark.parametrize(("title", "policy", "rule", "state", "line"), NFTABLES, ids=[one[0] for one in NFTABLES])
def test_nftables(title: str, policy: str, rule: str, state: str, line: int) -> None:
    text = NFT.replace("{ back", "back").format(policy, rule)
    answer = nftables.judge(text.encode(), 22)
    assert answer is not None
    moved = rule.count("\n") if line > 13 else 0
    assert (answer.state, answer.line) == (state, line + moved), answer


def test_nftables_as_commands() -> None:
    rules = (
        b"add table inet filter\nadd chain inet filter input { type filter hook input priority 0; policy drop; }\n"
        b"add rule inet filter input tcp dport 22 accept\n"
    )
    answer = nftables.judge(rules, 22)
    assert answer is not None and (answer.state, answer.line) == ("open", 3)


def test_every_input_chain_has_to_agree() -> None:
    one = b"table inet a { chain i { type filter hook input priority 0; policy accept; } }\n"
    two = b"table ip b { chain i { type filter hook input priority 5; policy drop; } }\n"
    answer = nftables.judge(one + two, 22)
    assert answer is not None and (answer.state, answer.line) == ("closed", 2)


def test_other_families_and_hooks_do_not_count() -> None:
    assert nftables.judge(b"table ip6 a { chain i { type filter hook input priority 0; policy drop; } }", 22) is None
    assert nftables.judge(b"table ip a { chain i { type nat hook input priority 0; policy drop; } }", 22) is None


def test_includes() -> None:
    assert nftables.includes(b'include "/etc/nftables/main.nft"\n# include "no"\n') == ["/etc/nftables/main.nft"]


PIECES = [
    *("table", "inet", "filter", "chain", "input", "type filter hook input priority 0;", "policy drop;", "{", "}", ";"),
    *("\n", "tcp", "dport", "22", "accept", "jump", "x", "@", "!=", '"', "vmap", "set", "elements", "=", "add rule"),
]
LINES = [
    "*filter",
    ":INPUT DROP",
    "-A INPUT",
    "-A",
    "-j",
    "ACCEPT",
    "!",
    "--dport",
    "22",
    "'",
    "\n",
    "-I",
    ":A -",
    "-p tcp",
]


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.lists(st.sampled_from(PIECES), max_size=60).map(" ".join), st.text(max_size=200)))
def test_any_nft_text_is_survived(text: str) -> None:
    answer = nftables.judge(text.encode("utf-8", "replace"), 22)
    assert answer is None or answer.state in ("open", "limited", "closed")


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.lists(st.sampled_from(LINES), max_size=60).map(" ".join), st.text(max_size=200)))
def test_any_iptables_text_is_survived(text: str) -> None:
    answer = iptables.judge(text.encode("utf-8", "replace"), 22)
    assert answer is None or answer.state in ("open", "limited", "closed")


def test_one_huge_line_takes_no_time() -> None:
    start = time.process_time()
    iptables.judge(b'*filter\n-A INPUT "' + b"a" * 1_000_000, 22)
    assert time.process_time() - start < 20


def test_a_hundred_thousand_rules_end() -> None:
    rules = "*filter\n:INPUT DROP\n:A -\n" + "-A A -s 192.0.2.1 -j ACCEPT\n" * 30000 + "-A INPUT -j A\n" * 3
    answer = iptables.judge(rules.encode(), 22)
    assert answer is not None and answer.state == "limited"


def test_behind_too_many_rules_nothing_is_told() -> None:
    rules = "*filter\n:INPUT ACCEPT\n:A -\n-A INPUT -p udp -j A\n" + "-A A -j DROP\n" * 9000
    assert iptables.judge((rules + "-A INPUT -p tcp --dport 22 -j DROP\n").encode(), 22).state == "closed"
    many = "".join(f"-A A -s 192.0.2.{number % 256} -j LOG\n" for number in range(9000))
    answer = iptables.judge(("*filter\n:INPUT ACCEPT\n:A -\n-A INPUT -j A\n" + many).encode(), 22)
    assert (answer.state, answer.line) == ("limited", 5004)
