"""NetworkManager's device lists as NetworkManager.conf(5) says."""

from __future__ import annotations

import pytest

from guestfix.formats.network import keyfile
from guestfix.formats.network.devicelist import Device, DeviceMatch, matches, parse

ETH0 = Device("eth0", "00:50:56:aa:bb:cc", driver="vmxnet3")
NEW = Device()


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("*", (DeviceMatch("*", ""),)),
        (
            "eth0;eth1, 00:11:22:33:44:55",
            (DeviceMatch("name", "eth0"), DeviceMatch("name", "eth1"), DeviceMatch("name", "00:11:22:33:44:55")),
        ),
        ("*,except:interface-name:eth*", (DeviceMatch("*", ""), DeviceMatch("interface-name", "eth*", True))),
        (
            r"interface-name:em\,1;interface-name:a\\b",
            (DeviceMatch("interface-name", "em,1"), DeviceMatch("interface-name", r"a\b")),
        ),
        (
            "interface-name:=*;mac:00-11-22-33-44-55",
            (DeviceMatch("interface-name", "=*"), DeviceMatch("mac", "00-11-22-33-44-55")),
        ),
        (" ,;, ", ()),
        ("*foo", (DeviceMatch("name", "*foo"),)),
        ("except:type:wifi;driver:vmx*/1.0", (DeviceMatch("type", "wifi", True), DeviceMatch("driver", "vmx*/1.0"))),
    ],
)
def test_entries(text: str, entries: tuple[DeviceMatch, ...]) -> None:
    assert parse(text) == entries


@pytest.mark.parametrize(
    ("text", "eth0", "new"),
    [
        ("*", True, True),
        ("eth0", True, None),
        ("eth*", False, None),
        ("interface-name:eth*", True, None),
        ("interface-name:=eth*", False, None),
        ("interface-name:[e]th0", False, None),
        ("mac:00:50:56:AA:BB:CC", True, None),
        ("00:50:56:AA:BB:CD", False, None),
        ("type:ethernet", True, True),
        ("type:wifi", False, False),
        ("driver:vmxnet?", True, None),
        ("*,except:interface-name:eth0", False, None),
        ("except:interface-name:eth1", True, None),
        ("except:type:wifi", True, True),
        ("*,except:type:wifi,except:type:gsm,except:type:cdma", True, True),
        ("*,except:type:ethernet", False, False),
        ("eth1,except:mac:00:50:56:aa:bb:cc", False, None),
        ("s390-subchannels:0.0.0009", None, None),
        ("", False, False),
    ],
)
def test_which_devices_a_list_is_about(text: str, eth0: bool | None, new: bool | None) -> None:
    assert (matches(parse(text), ETH0), matches(parse(text), NEW)) == (eth0, new)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("*", True),
        ("", False),
        ("00:50:56:aa:bb:cc,00:50:56:aa:bb:cd", False),
        ("mac:00:50:56:aa:bb:cc", False),
        ("eth0", True),
        ("except:type:ethernet", False),
        ("type:wifi", False),
    ],
)
def test_a_new_nic_gets_no_profile_where_the_list_may_be_about_it(value: str, expected: bool) -> None:
    assert keyfile.no_auto_default([f"[main]\nno-auto-default={value}\n".encode()]) is expected
