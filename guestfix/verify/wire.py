"""What a guest sends on its NIC, read from QEMU's packet dump: DHCP as RFC 2131 has it, and the addresses it uses."""

from __future__ import annotations

import struct

MAX_PACKET = 2048
"""Bytes that QEMU keeps of a packet (maxlen of its filter-dump)."""

MAX_ADDRESSES = 20
_HEAD, _RECORD = 24, 16
_IPV4, _ARP, _UDP = b"\x08\x00", b"\x08\x06", 17
_COOKIE = b"\x63\x82\x53\x63"
DISCOVER, REQUEST, ACK = 1, 3, 5


class Wire:
    """Takes a packet dump (pcap, as QEMU's filter-dump writes it) in pieces of any size; keeps nothing but counts."""

    def __init__(self) -> None:
        self.requests = 0
        self.lease = ""
        self.addresses: dict[str, None] = {}
        self._left = b""
        self._begun = self._lost = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the dump."""
        if self._lost:
            return
        self._left += data
        if not self._begun:
            if len(self._left) < _HEAD:
                return
            self._left, self._begun = self._left[_HEAD:], True
        while len(self._left) >= _RECORD:
            length = struct.unpack_from("=I", self._left, 8)[0]
            if length > MAX_PACKET:
                self._lost = True
                return
            if len(self._left) < _RECORD + length:
                return
            self._packet(self._left[_RECORD : _RECORD + length])
            self._left = self._left[_RECORD + length :]

    def _packet(self, frame: bytes) -> None:
        kind = frame[12:14]
        if kind == _ARP and len(frame) >= 32:
            self._used(frame[28:32])
        elif kind == _IPV4 and len(frame) >= 34:
            self._used(frame[26:30])
            start = 14 + (frame[14] & 15) * 4
            ports = frame[start : start + 4]
            if frame[23] == _UDP and ports in (b"\0\x44\0\x43", b"\0\x43\0\x44"):
                self._dhcp(frame[start + 8 :])

    def _used(self, raw: bytes) -> None:
        """Note an address outside QEMU's own: 10.0.2.2 to 10.0.2.4 are the other side's (slirp)."""
        address = ".".join(map(str, raw))
        ours = raw[:3] == b"\x0a\0\x02" and raw[3] in (2, 3, 4)
        if raw not in (b"", b"\0\0\0\0") and not ours and len(self.addresses) < MAX_ADDRESSES:
            self.addresses[address] = None

    def _dhcp(self, message: bytes) -> None:
        if message[236:240] != _COOKIE:
            return
        kind = _message_type(message[240:])
        if message[0] == 1 and kind in (DISCOVER, REQUEST):
            self.requests += 1
        elif message[0] == 2 and kind == ACK:
            self.lease = ".".join(map(str, message[16:20]))


def _message_type(options: bytes) -> int:
    at = 0
    while at + 2 < len(options) and options[at] != 255:
        if options[at] == 0:
            at += 1
            continue
        if options[at] == 53:
            return options[at + 2]
        at += 2 + options[at + 1]
    return 0
