"""Sectors as dm-crypt keeps them, decrypted: AES in the modes XTS and CBC, through the package cryptography.

Source: the kernel's documentation of dm-crypt (cipher specification, IV generators, sector_size).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from typing import Any

from guestfix.backends.volumes.block import Block, DiskError, SeekableBlock, read_exact
from guestfix.base.record import frozen

SECTOR = 512
"""Bytes in which offsets and the numbers of sectors are counted, whatever a volume's own sectors are."""

CHUNK = 1 << 17
"""Bytes that are decrypted at once."""

INSTALL = "pip install 'guestfix[luks]'"
_READ_HERE = "aes with xts-plain64, xts-plain, cbc-essiv:sha256, cbc-plain64 or cbc-plain"


@frozen
class Crypt:
    """How a run of sectors is encrypted: the cipher in dm-crypt's words, the key, and where in a volume it lies.

    ``start`` and ``size`` are in bytes, ``sector`` is the size of its sectors, ``first`` the number of the first one in
    units of 512 bytes.
    """

    cipher: str
    key: bytes
    start: int
    size: int
    sector: int = SECTOR
    first: int = 0

    def table(self, device: str) -> str:
        """Return dm-crypt's line for a device: it holds the key."""
        more = f" 1 sector_size:{self.sector}" if self.sector != SECTOR else ""
        place = f"{device} {self.start // SECTOR}{more}"
        return f"0 {self.size // SECTOR} crypt {self.cipher} {self.key.hex()} {self.first} {place}"

    def __repr__(self) -> str:
        """Tell everything but the key."""
        return f"Crypt({self.cipher}, {self.size} bytes from {self.start})"


class Opened(SeekableBlock):
    """What is encrypted in a run of a Block, as a Block. DiskError where the cipher is not one that is read here."""

    def __init__(self, block: Block, crypt: Crypt) -> None:
        super().__init__()
        self._block, self._crypt, self.size = block, crypt, crypt.size
        self._decrypt = decryption(crypt.cipher, crypt.key)

    def _next(self, count: int) -> bytes:
        crypt = self._crypt
        skip = self._at % crypt.sector
        start = self._at - skip
        length = min(-(-(skip + min(count, CHUNK)) // crypt.sector) * crypt.sector, self.size - start)
        raw = read_exact(self._block, crypt.start + start, length, "an encrypted volume")
        number = crypt.first + start // SECTOR
        step = crypt.sector // SECTOR
        plain = [
            self._decrypt(number + at // crypt.sector * step, raw[at : at + crypt.sector])
            for at in range(0, length, crypt.sector)
        ]
        return b"".join(plain)[skip : skip + count]


Decrypt = Callable[[int, bytes], bytes]
"""Takes a sector's number in units of 512 bytes and its bytes, and returns what they mean."""


def decryption(cipher: str, key: bytes) -> Decrypt:
    """Return how a cipher in dm-crypt's words is undone with a key. DiskError for one that is not read here."""
    name, _, rest = cipher.partition("-")
    mode, _, vector = rest.partition("-")
    lengths = {"xts": (32, 64), "cbc": (16, 24, 32)}.get(mode, ())
    known = vector in ("plain", "plain64") or (mode == "cbc" and vector == "essiv:sha256")
    if name != "aes" or not known or len(key) not in lengths:
        what = f"its cipher {cipher} with {len(key) * 8} bits of key is not read here, only {_READ_HERE}"
        raise DiskError(what, remedy="decrypt it in a copy: cryptsetup reencrypt --decrypt")
    number = _number(vector, key)
    ciphers, aes, modes = _library()
    chained = modes.XTS if mode == "xts" else modes.CBC

    def one(sector: int, data: bytes) -> bytes:
        decryptor = ciphers(aes(key), chained(number(sector))).decryptor()
        found: bytes = decryptor.update(data) + decryptor.finalize()
        return found

    return one


def _number(vector: str, key: bytes) -> Callable[[int], bytes]:
    """Return how a sector's number becomes its initialization vector."""
    if vector == "plain":
        return lambda sector: struct.pack("<I12x", sector & 0xFFFFFFFF)
    if vector == "plain64":
        return lambda sector: struct.pack("<Q8x", sector)
    ciphers, aes, modes = _library()
    salt = ciphers(aes(hashlib.sha256(key).digest()), modes.ECB())

    def essiv(sector: int) -> bytes:
        encryptor = salt.encryptor()
        found: bytes = encryptor.update(struct.pack("<Q8x", sector)) + encryptor.finalize()
        return found

    return essiv


def _library() -> tuple[Any, Any, Any]:
    """Return the package's Cipher, its AES and its modes. DiskError where it is not installed."""
    try:
        from cryptography.hazmat.primitives.ciphers import Cipher, modes
        from cryptography.hazmat.primitives.ciphers.algorithms import AES
    except ImportError as error:
        raise DiskError("opening an encrypted volume needs the package cryptography", remedy=INSTALL) from error
    return Cipher, AES, modes
