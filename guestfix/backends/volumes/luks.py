"""LUKS volumes opened with a key, read only.

Sources: LUKS1 On-Disk Format Specification 1.2.3, LUKS2 On-Disk Format Specification 1.1.1 (cryptsetup).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from guestfix.backends.volumes.block import COPY, Block, DiskError, read_at, read_exact, told
from guestfix.backends.volumes.crypt import INSTALL, SECTOR, Crypt, Opened
from guestfix.base.bounds import LUKS_HEADER, LUKS_ITERATIONS, LUKS_MEMORY, LUKS_PASSES
from guestfix.base.record import frozen

MAGIC, SECOND = b"LUKS\xba\xbe", b"SKUL\xba\xbe"
_SECONDS = tuple(0x4000 << step for step in range(9))
_ACTIVE = 0x00AC71F3
_HASHES = ("sha1", "sha224", "sha256", "sha384", "sha512", "ripemd160")
_SIZES = (512, 1024, 2048, 4096)
_DAMAGE = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError, struct.error)
_DECRYPT = "decrypt it first: cryptsetup reencrypt --decrypt"


@frozen
class Kdf:
    """How a passphrase becomes the key of a slot; ``memory`` is in KiB."""

    kind: str
    salt: bytes
    time: int
    hash: str = ""
    memory: int = 0
    lanes: int = 0


@frozen
class Slot:
    """A key slot: how its key is derived, and where the volume's key lies in it, split in ``stripes``."""

    kdf: Kdf
    cipher: str
    area: tuple[int, int]
    slot_bytes: int
    key_bytes: int
    stripes: int
    hash: str


@frozen
class Digest:
    """What the volume's key must come to (PBKDF2)."""

    kdf: Kdf
    value: bytes


@frozen
class Header:
    """A LUKS header as read: its version, its slots, the digest of the volume's key, and what that key opens."""

    version: int
    slots: tuple[Slot, ...]
    digest: Digest
    data: Crypt


def read_header(block: Block) -> Header:
    """Read a LUKS header. DiskError where it is damaged, or asks for what is not read here."""
    raw = read_at(block, 0, 4096)
    try:
        if raw[:8] == MAGIC + b"\0\1":
            return _version1(block, raw)
        return _version2(block)
    except _DAMAGE as error:
        raise DiskError(told(f"the LUKS header is damaged: {type(error).__name__} {error}", COPY)) from error


def unlock(block: Block, header: Header, secrets: Sequence[bytes], known: bytes = b"") -> Crypt | None:
    """Return how the data is encrypted, with the key; None where no slot opens with any of the secrets.

    ``known`` is the volume's key where it was found before. DiskError where a slot that might open can't be tried here.
    """
    if known and _is_key(header, known):
        return _with(header.data, known)
    problem: DiskError | None = None
    for slot in header.slots:
        for secret in secrets:
            try:
                key = _key_in(block, slot, secret)
            except DiskError as error:
                problem = error
                break
            if _is_key(header, key):
                return _with(header.data, key)
    if problem is not None:
        raise problem
    return None


def _is_key(header: Header, key: bytes) -> bool:
    digest = header.digest
    return hmac.compare_digest(_derive(digest.kdf, key, len(digest.value)), digest.value)


def _with(data: Crypt, key: bytes) -> Crypt:
    return Crypt(data.cipher, key, data.start, data.size, data.sector, data.first)


def _key_in(block: Block, slot: Slot, secret: bytes) -> bytes:
    """Return what a slot holds for a secret: the volume's key where the secret is right, noise otherwise."""
    start, length = slot.area
    size = -(-slot.key_bytes * slot.stripes // SECTOR) * SECTOR
    if size > length or start + size > block.size:
        raise DiskError(told("a LUKS key slot lies beyond the end of the volume", COPY))
    key = _derive(slot.kdf, secret, slot.slot_bytes)
    split = Opened(block, Crypt(slot.cipher, key, start, size)).read(slot.key_bytes * slot.stripes)
    return _merge(split, slot.key_bytes, slot.hash)


def _merge(split: bytes, size: int, name: str) -> bytes:
    """Undo the anti-forensic splitting (LUKS1 specification, 2.4)."""
    *pieces, last = (split[at : at + size] for at in range(0, len(split), size))
    mixed = bytes(size)
    for piece in pieces:
        mixed = _diffuse(_xor(mixed, piece), name)
    return _xor(mixed, last)


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(len(one), "big")


def _diffuse(data: bytes, name: str) -> bytes:
    size = hashlib.new(name).digest_size
    parts = (
        hashlib.new(name, struct.pack(">I", index) + data[at : at + size]).digest()[: len(data) - at]
        for index, at in enumerate(range(0, len(data), size))
    )
    return b"".join(parts)


def _derive(kdf: Kdf, secret: bytes, length: int) -> bytes:
    """Return so many bytes of key. DiskError for a function that is unknown, or that costs more than it may."""
    if kdf.kind == "pbkdf2":
        if not 0 < kdf.time <= LUKS_ITERATIONS:
            raise DiskError(f"a LUKS key slot asks for {kdf.time} iterations, more than are done", remedy=_DECRYPT)
        return hashlib.pbkdf2_hmac(kdf.hash, secret, kdf.salt, kdf.time, length)
    if kdf.kind not in ("argon2i", "argon2id"):
        raise DiskError(f"a LUKS key slot derives its key by {kdf.kind!r}, which is unknown here", remedy=_DECRYPT)
    if kdf.memory > LUKS_MEMORY or not 0 < kdf.time * kdf.memory <= LUKS_PASSES or not 0 < kdf.lanes <= 64:
        what = f"a LUKS key slot asks for {kdf.time} passes over {kdf.memory} KiB, more than are done"
        raise DiskError(what, remedy=_DECRYPT)
    try:
        from argon2.exceptions import HashingError
        from argon2.low_level import Type, hash_secret_raw
    except ImportError as error:
        raise DiskError("opening this LUKS volume needs the package argon2-cffi", remedy=INSTALL) from error
    kind = Type.ID if kdf.kind == "argon2id" else Type.I
    try:
        return hash_secret_raw(secret, kdf.salt, kdf.time, kdf.memory, kdf.lanes, length, kind)
    except HashingError as error:
        raise DiskError(f"a LUKS key slot can't be tried: {error}", remedy="give this machine more memory") from error


# version 1


def _version1(block: Block, raw: bytes) -> Header:
    name, mode, digest = (_word(raw[at : at + 32]) for at in (8, 40, 72))
    start, size = struct.unpack_from(">II", raw, 104)
    value, salt, rounds = raw[112:132], raw[132:164], struct.unpack_from(">I", raw, 164)[0]
    _check(digest)
    cipher, slots = f"{name}-{mode}", []
    for at in range(208, 592, 48):
        active, time, slot_salt, place, stripes = struct.unpack_from(">II32sII", raw, at)
        if active == _ACTIVE:
            area = (place * SECTOR, _area(size, stripes))
            slots.append(Slot(Kdf("pbkdf2", slot_salt, time, digest), cipher, area, size, size, stripes, digest))
    data = Crypt(cipher, b"", start * SECTOR, _room(block, start * SECTOR))
    return Header(1, tuple(slots), Digest(Kdf("pbkdf2", salt, rounds, digest), value), data)


def _word(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("ascii")


def _check(name: str) -> str:
    if name not in _HASHES or name not in hashlib.algorithms_available:
        raise DiskError(f"its hash {name!r} is not read here", remedy=_DECRYPT)
    return name


def _area(size: int, stripes: int) -> int:
    """Return the bytes of a slot's area. DiskError where they can't be."""
    if size not in (16, 24, 32, 64) or not 0 < stripes <= 4000:
        raise DiskError(told(f"the LUKS header is damaged: {stripes} stripes of {size} bytes", COPY))
    return -(-size * stripes // SECTOR) * SECTOR


def _room(block: Block, start: int, size: int | None = None, sector: int = SECTOR) -> int:
    """Return the bytes of the data from a place, up to the end of the volume where no size is given."""
    found = (block.size - start) // sector * sector if size is None else size
    if start < SECTOR or found <= 0 or start + found > block.size or found % sector:
        raise DiskError(told("the data of the LUKS volume lie beyond its end: the image is truncated", COPY))
    return found


# version 2


def _version2(block: Block) -> Header:
    text = max(_copies(block), default=None, key=lambda found: found[0])
    if text is None:
        raise DiskError(told("the LUKS header is damaged: neither of its copies has the sum that it says", COPY))
    tree = json.loads(text[1])
    mandatory = tree.get("config", {}).get("requirements", {}).get("mandatory", [])
    if mandatory:
        what = f"the LUKS volume asks for what is not read here: {', '.join(map(str, mandatory[:4]))}"
        raise DiskError(what, remedy="finish its re-encryption: cryptsetup reencrypt; or decrypt it first")
    (number, segment), *more = sorted(tree["segments"].items())
    if more or segment["type"] != "crypt" or segment.get("integrity"):
        raise DiskError("the LUKS volume has several segments or integrity, which is not read here", remedy=_DECRYPT)
    digest: dict[str, Any] = next((one for one in tree["digests"].values() if number in one["segments"]), {})
    slots = [_slot(tree["keyslots"][name]) for name in sorted(digest["keyslots"], key=int)]
    return Header(2, tuple(slots), _digest(digest), _segment(block, segment))


def _copies(block: Block) -> Iterator[tuple[int, bytes]]:
    """Yield the sequence number and the JSON text of each copy of the header that is whole."""
    for at in (0, *_SECONDS):
        raw = read_at(block, at, 512)
        if raw[:8] != (SECOND if at else MAGIC) + b"\0\2":
            continue
        size, number = struct.unpack_from(">QQ", raw, 8)
        name, place = _word(raw[72:104]), struct.unpack_from(">Q", raw, 256)[0]
        if place != at or not 16384 <= size <= LUKS_HEADER or name not in _HASHES:
            continue
        whole = read_exact(block, at, size, "the LUKS header")
        total = hashlib.new(name, whole[:448] + bytes(64) + whole[512:]).digest()
        if whole[448 : 448 + len(total)] == total:
            yield number, whole[4096:].partition(b"\0")[0]


def _slot(slot: dict[str, Any]) -> Slot:
    area, split = slot["area"], slot["af"]
    if slot["type"] != "luks2" or area["type"] != "raw" or split["type"] != "luks1":
        raise DiskError(f"a LUKS key slot of type {slot['type']!r} is not read here", remedy=_DECRYPT)
    size, stripes, own = int(slot["key_size"]), int(split["stripes"]), int(area["key_size"])
    _area(size, stripes)
    _area(own, 1)
    place = (_count(area["offset"]), _count(area["size"]))
    kdf = _kdf(slot["kdf"])
    return Slot(kdf, str(area["encryption"]), place, own, size, stripes, _check(split["hash"]))


def _kdf(tree: dict[str, Any]) -> Kdf:
    salt = base64.b64decode(tree["salt"], validate=True)
    if tree["type"] == "pbkdf2":
        return Kdf("pbkdf2", salt, int(tree["iterations"]), _check(tree["hash"]))
    return Kdf(str(tree["type"]), salt, int(tree["time"]), "", int(tree["memory"]), int(tree["cpus"]))


def _digest(tree: dict[str, Any]) -> Digest:
    return Digest(_kdf(tree), base64.b64decode(tree["digest"], validate=True))


def _segment(block: Block, tree: dict[str, Any]) -> Crypt:
    start, sector = _count(tree["offset"]), int(tree["sector_size"])
    if sector not in _SIZES:
        raise DiskError(told(f"the LUKS header is damaged: sectors of {sector} bytes", COPY))
    size = None if tree["size"] == "dynamic" else _count(tree["size"])
    return Crypt(
        str(tree["encryption"]), b"", start, _room(block, start, size, sector), sector, _count(tree["iv_tweak"])
    )


def _count(text: str) -> int:
    found = int(text)
    if not 0 <= found < 1 << 60:
        raise ValueError(text)
    return found
