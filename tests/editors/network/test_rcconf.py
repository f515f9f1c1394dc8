"""FreeBSD's rc.conf: what becomes of settings for a NIC that has another name on the target."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestfix.base.edit import Edit
from guestfix.base.errors import EditError
from guestfix.editors.network.rcconf import dhcp, interface_of
from guestfix.formats import shellvars


def after(text: str, nic: str = "vtnet") -> str:
    done = dhcp(text.encode(), nic=nic)
    content = done.content if isinstance(done, Edit) else done
    assert isinstance(content, bytes)
    return content.decode()


DHCP = "ifconfig_DEFAULT=DHCP\n"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('ifconfig_em0="DHCP"\n', '# guestfix: ifconfig_em0="DHCP"\n' + DHCP),
        ('ifconfig_em0="inet 192.0.2.1/24"\n', '# guestfix: ifconfig_em0="inet 192.0.2.1/24"\n' + DHCP),
        ('ifconfig_vtnet0="DHCP"\n', 'ifconfig_vtnet0="DHCP"\n'),
        ('ifconfig_vtnet1="DHCP"\n', '# guestfix: ifconfig_vtnet1="DHCP"\n' + DHCP),
        ("ifconfig_lo0='inet 127.0.0.1'\n", "ifconfig_lo0='inet 127.0.0.1'\n"),
        ("hostname=a\n", "hostname=a\n"),
        ("", ""),
        (
            'ifconfig_em0="up"\ndefaultrouter="NO"\n',
            '# guestfix: ifconfig_em0="up"\ndefaultrouter="NO"\n' + DHCP,
        ),
        (
            'ifconfig_em0="DHCP"\ndefaultrouter="192.0.2.1"\n',
            '# guestfix: ifconfig_em0="DHCP"\ndefaultrouter="192.0.2.1"\n' + DHCP,
        ),
        (
            'ifconfig_DEFAULT="SYNCDHCP"\nifconfig_em0="DHCP"\n',
            'ifconfig_DEFAULT="SYNCDHCP"\n# guestfix: ifconfig_em0="DHCP"\n',
        ),
        ("if x; then\n  ifconfig_em0=up\nfi\n", "if x; then\n  ifconfig_em0=\nfi\n" + DHCP),
        (
            "if x; then\n  ifconfig_DEFAULT=DHCP\nfi\nifconfig_em0=up\n",
            "if x; then\n  ifconfig_DEFAULT=DHCP\nfi\n# guestfix: ifconfig_em0=up\n" + DHCP,
        ),
        ("ifconfig_vtnet0=up; ifconfig_em0=up\n", "ifconfig_vtnet0=DHCP; ifconfig_em0=\n" + DHCP),
        ('ifconfig_vtnet0=""\nifconfig_em0=DHCP\n', 'ifconfig_vtnet0="DHCP"\n# guestfix: ifconfig_em0=DHCP\n' + DHCP),
        ("ifconfig_em0=\ndefaultrouter=192.0.2.1\n", "ifconfig_em0=\ndefaultrouter=192.0.2.1\n"),
        (
            "ifconfig_lo0=up; vlans_em0=\nifconfig_em0=DHCP\n",
            "ifconfig_lo0=up; vlans_em0=\n# guestfix: ifconfig_em0=DHCP\n" + DHCP,
        ),
    ],
)
def test_settings_of_one_nic_become_those_of_any(text: str, result: str) -> None:
    assert after(text) == result
    assert after(result) == result


@pytest.mark.parametrize(
    "line",
    ['ifconfig_lagg0="laggproto lacp laggport em0"', 'vlans_em0="7"', 'ifconfig_bridge0="addm em0"',
     'ifconfig_vlan7="inet 192.0.2.9/24 vlan 7 vlandev em0"'],
)  # fmt: skip
def test_what_stands_on_a_nic_by_name_is_left_to_the_administrator(line: str) -> None:
    with pytest.raises(EditError):
        dhcp(f'ifconfig_em0="up"\n{line}\n'.encode(), nic="vtnet")
    assert after(f"{line}\n") == f"{line}\n"


@pytest.mark.parametrize("end", ["if x; then\n", "echo 'a\n", 'ifconfig_em1="\nifconfig_em2=" "'])
def test_nothing_is_set_where_a_quote_or_block_is_never_closed(end: str) -> None:
    with pytest.raises(EditError, match="never closed"):
        dhcp(f"ifconfig_DEFAULT=DHCP\nifconfig_em0=up\n{end}".encode(), nic="vtnet")


def test_no_file_stays_none() -> None:
    assert dhcp(None, nic="vtnet") is None


def test_which_variables_are_about_a_nic() -> None:
    names = ["ifconfig_em0", "ifconfig_ix1_alias12", "ifconfig_em0_ipv6"]
    assert [interface_of(one) for one in names] == ["em0", "ix1", "em0"]
    others = ["ifconfig_DEFAULT", "ifconfig_lagg0", "ifconfig_lo0", "ifconfig_em", "hostname", "ifconfig_em0_x"]
    assert not any(interface_of(one) for one in others)


LINES = st.sampled_from(
    [
        'ifconfig_em0="DHCP"', 'ifconfig_em1="inet 192.0.2.3/24"', "ifconfig_DEFAULT=DHCP", "# c", "a=b; c=d", "fi",
        "if x; then", 'defaultrouter="192.0.2.1"', "hostname='x y'", "ifconfig_vtnet0=DHCP", "\udcff=1",
        'ifconfig_em0_alias0="x"', "'",
    ]
)  # fmt: skip


@given(st.lists(LINES, max_size=8))
def test_a_second_time_changes_nothing_and_no_line_is_lost(lines: list[str]) -> None:
    src = "\n".join(lines).encode("utf-8", "surrogateescape")
    try:
        done = dhcp(src, nic="vtnet")
        content = done.content if isinstance(done, Edit) else done
        assert isinstance(content, bytes)
        again = dhcp(content, nic="vtnet")
    except EditError:
        return
    assert (again.content if isinstance(again, Edit) else again) == content
    if content != src:
        assert (shellvars.get(content, "ifconfig_DEFAULT") or "").upper().endswith("DHCP")
        kept = content.replace(b"# guestfix: ", b"")
        assert all(line in kept for line in src.split(b"\n") if b"ifconfig" not in line and b";" not in line)
