"""DHCP on the wire, in packets as QEMU's filter-dump writes them."""

from __future__ import annotations

import struct

import pytest

from guestfix.verify.wire import Wire

HEAD = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65536, 1)


def record(frame: bytes) -> bytes:
    return struct.pack("=IIII", 1, 2, len(frame), len(frame)) + frame


def dhcp(op: int, kind: int, given: bytes = bytes(4), source: bytes = bytes(4)) -> bytes:
    options = b"\x63\x82\x53\x63" + b"\0" + bytes([12, 2]) + b"ab" + bytes([53, 1, kind, 255])
    message = bytes([op, 1, 6, 0]) + bytes(12) + given + bytes(216) + options
    ports = (68, 67) if op == 1 else (67, 68)
    udp = struct.pack(">HHHH", *ports, 8 + len(message), 0) + message
    ip = bytes([0x45, 0]) + bytes(7) + b"\x11" + bytes(2) + source + b"\xff\xff\xff\xff"
    return bytes(12) + b"\x08\x00" + ip + udp


ALL = HEAD + b"".join(
    map(record, (dhcp(1, 1), dhcp(2, 2), dhcp(1, 3), dhcp(2, 5, b"\x0a\0\x02\x0f", b"\x0a\0\x02\x02")))
)


@pytest.mark.parametrize("size", [1, 13, 10_000])
def test_requests_and_the_lease_are_seen(size):
    wire = Wire()
    for at in range(0, len(ALL), size):
        wire.feed(ALL[at : at + size])
    assert (wire.requests, wire.lease, list(wire.addresses)) == (2, "10.0.2.15", [])


def test_an_address_that_nobody_gave_is_noted():
    wire = Wire()
    arp = bytes(12) + b"\x08\x06" + bytes(14) + b"\xc0\0\x02\x0a" + bytes(10)
    wire.feed(HEAD + record(arp) * 3)
    assert list(wire.addresses) == ["192.0.2.10"] and wire.lease == ""


@pytest.mark.parametrize("frame", [b"", bytes(14), bytes(12) + b"\x08\x00\x4f", dhcp(1, 1)[:100], dhcp(1, 1)[:-3]])
def test_a_packet_that_is_cut_off_is_no_trouble(frame):
    wire = Wire()
    wire.feed(HEAD + record(frame) + record(dhcp(1, 1)))
    assert wire.requests in (1, 2)


def test_an_impossible_length_ends_it_without_keeping_anything():
    wire = Wire()
    wire.feed(HEAD + struct.pack("=IIII", 0, 0, 0xFFFFFFFF, 0))
    for _ in range(100):
        wire.feed(bytes(65536))
    assert wire.requests == 0 and len(wire._left) < 100
