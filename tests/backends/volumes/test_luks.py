"""Encrypted volumes opened with keys: headers as cryptsetup makes them, data as the kernel's dm-crypt writes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.backends import open_guest
from guestfix.backends.image import open_image
from guestfix.backends.volumes import luks
from guestfix.backends.volumes.block import DiskError, FileBlock
from guestfix.backends.volumes.crypt import Opened, decryption
from guestfix.backends.volumes.keys import Keys
from guestfix.base import bounds
from guestfix.base.errors import UsageError
from tests.build.images import Bytes, have, run
from tests.build.uml import COPY, DM, LVM, blank, build
from tests.build.uml_guests import NEEDS_UML, digest, guestfix, make_tree

SECRET = "correct horse battery"
UUID = "5a5a0000-1111-2222-3333-444455556666"
CRYPT = ("ecb", "cbc", "xts", "essiv", "dm-crypt", "sha512_generic", "algif_skcipher", "algif_hash")
FSTAB = "/dev/mapper/vg-root / ext4 defaults 0 1\n/dev/sdc9 /gone ext4 defaults 0 2\n"
NEEDS_CRYPTSETUP = pytest.mark.skipif(not have("cryptsetup"), reason="cryptsetup is not installed")

KINDS = {
    "LUKS1": ("--type luks1 --pbkdf-force-iterations 1000", 64),
    "LUKS1, CBC, SHA-1": ("--type luks1 -c aes-cbc-essiv:sha256 -s 256 -h sha1 --pbkdf-force-iterations 1000", 32),
    "argon2id": ("--type luks2 --pbkdf argon2id --pbkdf-memory 32768 --pbkdf-force-iterations 4", 64),
    "argon2i, 4096": (
        "--type luks2 --pbkdf argon2i --pbkdf-memory 32 --pbkdf-force-iterations 4 --sector-size 4096",
        64,
    ),
    "PBKDF2, SHA-512": ("--type luks2 --pbkdf pbkdf2 -h sha512 --pbkdf-force-iterations 1000 -s 256", 32),
}


def formatted(place: Path, options: str) -> Path:
    blank(place, 34)
    command = ["cryptsetup", "-q", "luksFormat", "--key-file=-", *options.split(), place]
    subprocess.run(command, input=SECRET.encode(), check=True)
    return place


def volume_key(place: Path) -> bytes:
    """Return the volume's key as cryptsetup tells it."""
    target = place.with_suffix(".volumekey")
    command = ["cryptsetup", "luksDump", "--dump-volume-key", "-q", "--key-file=-", "--volume-key-file", target, place]
    subprocess.run(command, input=SECRET.encode(), check=True, capture_output=True)
    return target.read_bytes()


@NEEDS_CRYPTSETUP
@pytest.mark.parametrize("kind", KINDS)
def test_the_volumes_key_is_the_one_that_cryptsetup_finds(kind, tmp_path):
    options, length = KINDS[kind]
    place = formatted(tmp_path / "disk", options)
    block = FileBlock(str(place))
    header = luks.read_header(block)
    found = luks.unlock(block, header, [b"wrong", SECRET.encode()])
    assert found is not None and found.key == volume_key(place) and len(found.key) == length
    assert luks.unlock(block, header, [b"wrong"]) is None
    assert luks.unlock(block, header, [], found.key) == found, "a key that was found before needs no passphrase"
    assert found.key.hex() not in repr(found) and str(found.key) not in repr(found)
    block.close()


@NEEDS_CRYPTSETUP
def test_every_slot_is_tried_and_a_damaged_first_header_has_a_second(tmp_path):
    place = formatted(tmp_path / "disk", KINDS["argon2id"][0])
    (tmp_path / "more").write_bytes(b"another")
    command = ["cryptsetup", "luksAddKey", "-q", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]
    subprocess.run([*command, "--key-file=-", place, tmp_path / "more"], input=SECRET.encode(), check=True)
    key = volume_key(place)
    with place.open("r+b") as stream:
        stream.seek(4096)
        stream.write(b"\xff" * 64)
    block = FileBlock(str(place))
    header = luks.read_header(block)
    assert len(header.slots) == 2
    for secret in (b"another", SECRET.encode()):
        found = luks.unlock(block, header, [secret])
        assert found is not None and found.key == key
    block.close()


@pytest.mark.skipif(not have("qemu-img", "qemu-io"), reason="qemu-utils is not installed")
@pytest.mark.parametrize("mode", ["xts,ivgen-alg=plain64", "cbc,ivgen-alg=essiv,ivgen-hash-alg=sha256"])
def test_data_that_qemu_encrypted_are_read(mode, tmp_path):
    plain, place = tmp_path / "plain", tmp_path / "disk.luks"
    plain.write_bytes(bytes(range(256)) * 4096 + os.urandom(512))
    secret = f"secret,id=one,data={SECRET}"
    options = f"key-secret=one,iter-time=300,cipher-alg=aes-256,cipher-mode={mode}"
    command = ["qemu-img", "convert", "--object", secret, "-f", "raw", "-O", "luks", "-o", options, plain, place]
    tries = (subprocess.run(command, capture_output=True, text=True, check=False) for _ in range(50))
    done = next(one for one in tries if "accurate CPU usage" not in one.stderr)  # what it measures may be too short
    assert done.returncode == 0, done.stderr
    block = FileBlock(str(place))
    crypt = luks.unlock(block, luks.read_header(block), [SECRET.encode()])
    assert crypt is not None
    opened = Opened(block, crypt)
    assert opened.read() == plain.read_bytes()
    for at, count in ((0, 1), (511, 2), (100_001, 300_000), (opened.size - 3, 10), (opened.size, 1)):
        opened.seek(at)
        assert opened.read(count) == plain.read_bytes()[at : at + count]
    block.close()


@pytest.mark.parametrize(
    ("cipher", "length"),
    [("serpent-xts-plain64", 64), ("aes-xts-plain64", 33), ("aes-lrw-benbi", 32), ("aes-xts-essiv:sha256", 64),
     ("aes", 32), ("", 0), ("aes-cbc-null", 32)],
)  # fmt: skip
def test_a_cipher_that_is_not_read_is_named(cipher, length):
    with pytest.raises(DiskError, match="is not read here") as caught:
        decryption(cipher, bytes(length))
    assert cipher in caught.value.what and "cryptsetup" in caught.value.remedy


@NEEDS_CRYPTSETUP
@pytest.mark.parametrize(
    ("kind", "module", "told"),
    [
        ("argon2id", "argon2.low_level", "argon2-cffi"),
        ("LUKS1", "cryptography.hazmat.primitives.ciphers", "cryptography"),
    ],
)
def test_what_is_not_installed_is_named(kind, module, told, tmp_path, monkeypatch):
    block = FileBlock(str(formatted(tmp_path / "disk", KINDS[kind][0])))
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DiskError, match=f"needs the package {told}") as caught:
        luks.unlock(block, luks.read_header(block), [SECRET.encode()])
    assert caught.value.remedy == "pip install 'guestfix[luks]'"
    block.close()


# hostile headers


@pytest.fixture(scope="module")
def headers(tmp_path_factory):
    if not have("cryptsetup"):
        pytest.skip("cryptsetup is not installed")
    folder = tmp_path_factory.mktemp("headers")
    return [
        formatted(folder / str(index), KINDS[kind][0]).read_bytes()
        for index, kind in enumerate(("LUKS1", "PBKDF2, SHA-512"))
    ]


def with_json(raw: bytes, change) -> bytes:
    """Return a LUKS2 volume whose first header has another text, and a sum that is right."""
    import hashlib

    tree = json.loads(raw[4096:16384].partition(b"\0")[0])
    change(tree)
    text = json.dumps(tree).encode().ljust(12288, b"\0")
    head = bytearray(raw[:4096] + text)
    head[8 + 8 : 8 + 16] = (99).to_bytes(8, "big")
    head[448:512] = bytes(64)
    head[448:480] = hashlib.sha256(head).digest()
    return bytes(head) + raw[16384:]


CHANGES = {
    "a memory of 1 TiB": (lambda t: t["keyslots"]["0"]["kdf"].update(type="argon2id", time=4, memory=1 << 30, cpus=4),
        "passes over"),
    "a thousand million iterations": (lambda t: t["keyslots"]["0"]["kdf"].update(iterations=10**9), "iterations"),
    "a function that is unknown": (lambda t: t["keyslots"]["0"]["kdf"].update(type="scrypt"), "damaged|unknown"),
    "a slot beyond the end": (lambda t: t["keyslots"]["0"]["area"].update(offset=str(1 << 40)), "beyond the end"),
    "a negative offset": (lambda t: t["keyslots"]["0"]["area"].update(offset="-4096"), "damaged"),
    "data beyond the end": (lambda t: t["segments"]["0"].update(offset=str(1 << 40)), "beyond its end"),
    "sectors of 3 bytes": (lambda t: t["segments"]["0"].update(sector_size=3), "sectors of 3"),
    "no digest": (lambda t: t["digests"].clear(), "damaged"),
    "a million stripes": (lambda t: t["keyslots"]["0"]["af"].update(stripes=10**6), "stripes"),
    "re-encryption": (lambda t: t["config"].update(requirements={"mandatory": ["online-reencrypt-v2"]}), "re-encryp"),
    "no text": (lambda t: t.clear(), "damaged"),
    "several segments": (lambda t: t["segments"].update({"1": t["segments"]["0"]}), "several segments"),
    "a hash of its own": (lambda t: t["keyslots"]["0"]["af"].update(hash="md5"), "hash"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_header_that_asks_for_too_much_is_refused(name, headers):
    change, told = CHANGES[name]
    block = Bytes(with_json(headers[1], change))
    with pytest.raises(DiskError, match=told) as caught:
        luks.unlock(block, luks.read_header(block), [SECRET.encode()])
    assert caught.value.remedy or caught.value.what.cure


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_a_damaged_header_is_told(headers, data):
    raw = bytearray(data.draw(st.sampled_from(headers)))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, 600) | st.integers(4096, 6000) | st.integers(16384, 20000))
        raw[at] = data.draw(st.integers(0, 255))
    block = Bytes(bytes(raw[: data.draw(st.sampled_from((len(raw), 20000, 592, 600, 4096, 0)))]))
    try:
        luks.unlock(block, luks.read_header(block), [SECRET.encode()])
    except DiskError as error:
        assert error.what and SECRET not in error.what


def test_bounds_leave_room_for_what_cryptsetup_makes():
    assert bounds.LUKS_MEMORY >= 1048576 and bounds.LUKS_PASSES >= 4 * bounds.LUKS_MEMORY


# keys as the operator gives them


def test_a_key_is_found_by_uuid_device_or_for_all(tmp_path, monkeypatch):
    (tmp_path / "a:b").write_bytes(b"from a file\n")
    monkeypatch.setenv("GF_KEY", "from the environment")
    read, write = os.pipe()
    os.write(write, b"from a pipe")
    os.close(write)
    keys = Keys([f"{UUID.upper()}:{tmp_path}/a:b", "/dev/sda2:env:GF_KEY", f"all:fd:{read}"])
    assert keys.of(UUID, ("/dev/sda1",)) == [b"from a file\n", b"from a pipe", b"from a file"]
    assert keys.of("0", ("/dev/sda2",)) == [b"from the environment", b"from a pipe"]
    assert keys.of("0", ("/dev/sda2",))[1] == b"from a pipe", "a descriptor is read once"
    assert keys.names(UUID, ()) and not keys.names("0", ("/dev/sdb",))
    keys.check([])
    os.close(read)
    assert "file" not in repr(keys)


@pytest.mark.parametrize(
    ("given", "told"),
    [("nothing", "names no key"), ("", "names no key"), ("/dev/sda1:", "names no key"), ("x:fd:seven", "names no key"),
     ("/dev/sda2:/no/such/file", "can't be read"), ("/dev/sda2:env:GF_NOT_SET", "not set"),
     ("/dev/sda2:fd:987", "can't be read"), ("/dev/sda2:/dev/null", "is empty")],
)  # fmt: skip
def test_a_key_that_can_not_be_had(given, told):
    with pytest.raises(UsageError, match=told):
        Keys([given]).of("0", ("/dev/sda2",))


def test_a_key_that_no_volume_wants_is_told():
    keys = Keys(["/dev/sda3:/x"])
    with pytest.raises(UsageError, match="no encrypted volume is called so") as caught:
        keys.check(["/dev/sda2"])
    assert caught.value.remedy == "did you mean /dev/sda2?"
    with pytest.raises(UsageError, match="no volume is encrypted"):
        keys.check([])


# a whole guest: LVM in LUKS, as Debian's installer makes it, written by the kernel of User-mode Linux


@pytest.fixture(scope="module")
def guest(tmp_path_factory):
    if not have("cryptsetup", "lvm", "mkfs.ext4"):
        pytest.skip("cryptsetup or lvm2 is not installed")
    folder = tmp_path_factory.mktemp("luks")
    tree = make_tree(folder / "tree", FSTAB)
    (tree / "etc/crypttab").write_text(f"sda2_crypt UUID={UUID} none luks\n")
    (folder / "key").write_text(SECRET + "\n")
    place = blank(folder / "disk.raw", 300)
    run("sfdisk", "-q", place, stdin="label: gpt\nstart=2048, size=40960, type=linux\ntype=linux\n")
    options = "--type luks2 --pbkdf argon2id --pbkdf-memory 16384 --pbkdf-force-iterations 4 --sector-size 4096"
    steps = ["mkfs.ext4 -q /dev/ubda1",
             f"printf '{SECRET}' | cryptsetup -q luksFormat --uuid {UUID} {options} /dev/ubda2 -",
             f"printf '{SECRET}' | cryptsetup open /dev/ubda2 x -", f"lvm pvcreate {LVM} /dev/mapper/x",
             f"lvm vgcreate {LVM} vg /dev/mapper/x", f"lvm lvcreate {LVM} -Zn -Wn -L 200M -n root vg",
             "mkfs.ext4 -q /dev/mapper/vg-root", "mount /dev/mapper/vg-root /run/mnt", COPY, "umount /run/mnt",
             f"lvm vgchange {LVM} -an", "cryptsetup close x"]  # fmt: skip
    build([place], steps, tree, [*DM, *CRYPT])
    return place


pytestmark = NEEDS_UML


def test_a_guest_is_read_by_its_key(guest):
    opened = open_image([str(guest)], keys=Keys([f"/dev/vda2:{guest.parent}/key"]))
    try:
        assert opened.read("/etc/fstab") == FSTAB.encode()
        names = {name for volume in opened.disks().volumes for name in (volume.device, *volume.aliases)}
        plain = UUID.replace("-", "")
        assert {
            "/dev/mapper/sda2_crypt",
            f"/dev/disk/by-id/dm-uuid-CRYPT-LUKS2-{plain}-sda2_crypt",
            "/dev/vg/root",
        } <= names
        assert not any("luks-" in name for name in names), "crypttab's name is the only one"
    finally:
        opened.close()


def test_without_the_key_it_is_said_what_to_give(guest, tmp_path):
    (tmp_path / "wrong").write_text("wrong")
    wrong = f"{tmp_path}/wrong"
    tries = [((), "give its key with --key"), (("--key", f"{UUID}:{wrong}"), "none of its key slots")]
    for words, told in [*tries, (("--key", f"all:{wrong}"), "none of its key slots")]:
        out = json.loads(guestfix("report", guest, "--target", "kvm-virtio", *words, "--format", "json", status=2))
        assert told in out["error"]["what"]


def test_what_is_inside_is_repaired_and_reverted_and_no_key_stands_anywhere(guest, tmp_path, monkeypatch):
    monkeypatch.setenv("GF_KEY", SECRET)
    from tests.build import uml_guests

    uml_guests.ENV["GF_KEY"] = SECRET
    before = digest(guest)
    words = ("--key", f"{UUID}:env:GF_KEY")
    report = guestfix("report", guest, *words, "--target", "kvm-virtio", "--format", "json", "--verbose")
    plan = json.loads(report)
    out = tmp_path / "out.qcow2"
    done = guestfix("apply", guest, *words, "--target", "kvm-virtio", "--output", out, "--format", "json")
    applied = json.loads(done)
    assert sorted(applied["applied"]) == sorted({one["path"] for one in plan["changes"]})
    assert all(one["clean"] for one in applied["image"]["checks"]) and digest(guest) == before
    reverted = guestfix("revert", out, *words, "--in-place", "--format", "json")
    opened = open_guest([f"uml:{out}"], keys=[f"all:{guest.parent}/key"])
    try:
        assert opened.read("/etc/fstab") == FSTAB.encode()
    finally:
        opened.close()
    block = open_image([str(guest)], keys=Keys([f"all:{guest.parent}/key"]))
    (key, _), *_ = block.volumes.crypts.values()
    block.close()
    for text in (report, done, reverted):
        assert SECRET not in text and key.key.hex() not in text
