"""Disk images from afar: NBD, HTTP, S3 and SSH as servers on the loopback give them, and servers that fail."""

from __future__ import annotations

import json
import random
import struct
import subprocess
import sys
import tarfile
import urllib.request

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import guestfix
from guestfix.backends.disks import afar, nbd, ranges
from guestfix.backends.disks.names import beside, is_afar, key_of, shown
from guestfix.backends.volumes.block import DiskError
from guestfix.base.errors import UsageError
from tests.build import images, servers
from tests.build.documents import report
from tests.build.servers import greet, reply, serve_disk, size_told

UUID = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(ranges, "PAUSES", (0, 0, 0))


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A small Debian on a partition of a raw disk, beside it as qcow2, as an overlay, and as a split VMDK."""
    if not images.have("mkfs.ext4", "sfdisk", "qemu-img"):
        pytest.skip("needs e2fsprogs, fdisk and qemu-utils")
    folder = tmp_path_factory.mktemp("afar")
    tree = images.debian(folder / "tree", "/dev/sda1 / ext4 defaults 0 1\n")
    raw = folder / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(64 << 20)
    images.run("sfdisk", "-q", raw, stdin="start=2048, type=83\n")
    images.run("mkfs.ext4", "-q", "-U", UUID, "-d", tree, "-E", "offset=1048576", raw, "60M")
    images.run("qemu-img", "convert", "-O", "qcow2", raw, folder / "disk.qcow2")
    images.run("qemu-img", "create", "-q", "-f", "qcow2", "-b", "disk.qcow2", "-F", "qcow2", folder / "top.qcow2")
    images.run("qemu-img", "create", "-q", "-f", "qcow2", "-b", raw, "-F", "raw", folder / "out.qcow2")
    images.run("qemu-img", "convert", "-O", "vmdk", "-o", "subformat=twoGbMaxExtentFlat", raw, folder / "disk.vmdk")
    return folder


def fixes(found) -> bool:
    return f"UUID={UUID}" in json.dumps(found["changes"])


# what works


@pytest.mark.parametrize("name", ["disk.raw", "disk.qcow2", "top.qcow2", "disk.vmdk"])
def test_over_http(disk, capsys, name):
    pytest.importorskip("aiohttp", reason="the extra http is not installed here")
    with servers.web(disk) as web:
        address = web.url.replace("http://", "http://me:s3cret@") + f"/{name}?sig=s3cret"
        found = report(capsys, address)
    assert found["status"] == 0 and fixes(found)
    assert "s3cret" not in found["said"] and web.url in found["said"]
    local = report(capsys, str(disk / name))
    assert found["changes"] == local["changes"] and found["guest"]["identity"] == local["guest"]["identity"]
    opened = found["guest"]["files"]
    assert [one["path"].rpartition("/")[2] for one in opened] == [
        one["path"].rpartition("/")[2] for one in local["guest"]["files"]
    ]
    told = [one["read"] for one in opened]
    ranged = [one for one in web.asked if one[1].startswith("bytes=") and not one[1].endswith("-0")]
    assert sum(one["requests"] for one in told) <= len(ranged) + 2
    assert all(0 < one["bytes"] <= one["of"] for one in told)


ENVELOPE = """<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:o="http://schemas.dmtf.org/ovf/envelope/1">
<References><File o:id="f1" o:href="disk.vmdk"/></References>
<DiskSection><Disk o:diskId="d1" o:fileRef="f1"/></DiskSection></Envelope>"""


def test_an_ova_over_http(disk, tmp_path, capsys):
    pytest.importorskip("aiohttp", reason="the extra http is not installed here")
    streamed, envelope = tmp_path / "disk.vmdk", tmp_path / "guest.ovf"
    images.run(
        "qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized", disk / "disk.raw", streamed
    )  # fmt: skip
    envelope.write_text(ENVELOPE)
    (tmp_path / "web").mkdir()
    with tarfile.open(tmp_path / "web/guest.ova", "w", format=tarfile.USTAR_FORMAT) as archive:
        for one in (envelope, streamed):
            archive.add(one, one.name)
    with servers.web(tmp_path / "web") as web:
        found = report(capsys, f"{web.url}/guest.ova")
    local = report(capsys, str(tmp_path / "web/guest.ova"))
    assert found["status"] == local["status"] == 0 and fixes(found) and found["changes"] == local["changes"]
    (told,) = found["guest"]["files"]
    assert told["path"].startswith(web.url) and 0 < told["read"]["bytes"] <= told["read"]["of"]


@pytest.mark.parametrize("unix", [False, True])
def test_over_nbd(disk, tmp_path, capsys, unix):
    with servers.qemu_nbd(disk / "disk.qcow2", "-x", "a disk", unix=tmp_path / "socket" if unix else None) as address:
        found = report(capsys, address % "a%20disk")
        with pytest.raises(DiskError, match="no export 'other'"):
            afar.open_afar(address % "other")
    assert found["status"] == 0 and fixes(found)
    assert found["guest"]["files"][0]["path"] == address % "a%20disk"


def test_over_s3(disk, capsys, monkeypatch):
    with servers.s3(monkeypatch) as store:
        store.put(str(disk / "disk.qcow2"), "bucket/vm/disk.qcow2")
        found = report(capsys, "s3://bucket/vm/disk.qcow2")
        assert found["status"] == 0 and fixes(found) and "s3cret" not in found["said"]
        with pytest.raises(DiskError, match="no such image"):
            afar.open_afar("s3://bucket/vm/other.qcow2")


def test_over_ssh(disk, tmp_path, capsys, monkeypatch):
    pytest.importorskip("sshfs", reason="the extra ssh is not installed here")
    with servers.sshd(tmp_path) as (port, key):
        servers.with_key(monkeypatch, key)
        found = report(capsys, f"ssh://root@127.0.0.1:{port}{disk}/disk.qcow2")
    assert found["status"] == 0 and fixes(found)


def test_over_azures_store(disk, tmp_path, capsys, monkeypatch):
    adlfs = pytest.importorskip("adlfs", reason="the extra az is not installed here")
    with servers.azurite(tmp_path) as connection:
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection)
        store = adlfs.AzureBlobFileSystem()
        store.mkdir("disks")
        store.put(str(disk / "disk.qcow2"), "disks/vm/disk.qcow2")
        found = report(capsys, "az://disks/vm/disk.qcow2")
        assert found["status"] == 0 and fixes(found) and servers.AZURE_KEY not in found["said"]
        assert found["guest"]["files"][0]["read"]["bytes"] > 0
        with pytest.raises(DiskError, match="no such image"):
            afar.open_afar("az://disks/vm/other.qcow2")
        wrong = connection.replace(servers.AZURE_KEY, "d3Jvbmc=")
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", wrong)
        adlfs.AzureBlobFileSystem.clear_instance_cache()
        with pytest.raises(DiskError, match="may not be read") as caught:
            afar.open_afar("az://disks/vm/disk.qcow2")
        assert "d3Jvbmc=" not in repr(caught.value)


def ask(address: str, data: bytes, headers: dict[str, str]) -> None:
    urllib.request.urlopen(urllib.request.Request(address, data, headers)).close()


def test_over_googles_store(disk, capsys, monkeypatch):
    pytest.importorskip("gcsfs", reason="the extra gs is not installed here")
    with servers.google_store() as address:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        kind = {"Content-Type": "application/octet-stream"}
        ask(f"{address}/storage/v1/b", b'{"name": "disks"}', {"Content-Type": "application/json"})
        image = (disk / "disk.qcow2").read_bytes()
        ask(f"{address}/upload/storage/v1/b/disks/o?uploadType=media&name=vm/disk.qcow2", image, kind)
        found = report(capsys, "gs://disks/vm/disk.qcow2")
        assert found["status"] == 0 and fixes(found)
        assert found["guest"]["files"][0]["read"]["bytes"] > 0
        with pytest.raises(DiskError, match="no such image"):
            afar.open_afar("gs://disks/vm/other.qcow2")
        command = [sys.executable, "-m", "guestfix", "report", "--target", "gce", "gs://disks/vm/other.qcow2"]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
        assert "no such image" in said and all(line.startswith(("guestfix: ", "  ")) for line in said.splitlines()), (
            said
        )


# what does not


def test_writing_stays_local(disk, capsys):
    pytest.importorskip("aiohttp", reason="the extra http is not installed here")
    with servers.web(disk) as web:
        for place in (f"{web.url}/disk.qcow2?sig=s3cret", f"uml:{web.url}/disk.qcow2?sig=s3cret"):
            with pytest.raises(UsageError, match="writing stays local") as caught:
                guestfix.open_writable(place)
            assert "s3cret" not in str(caught.value) + str(caught.value.where)


def test_an_image_names_nothing_elsewhere(disk):
    pytest.importorskip("aiohttp", reason="the extra http is not installed here")
    with servers.web(disk) as web:
        with pytest.raises(DiskError, match="may only name files in its own folder"):
            guestfix.open_guest(f"{web.url}/out.qcow2")
        assert all("disk.raw" not in path for path, _ in web.asked)
    for name in ("../x", "/etc/shadow", "a/b", ".hidden", ""):
        with pytest.raises(DiskError):
            beside("https://host/vm/disk.vmdk", name)
    with pytest.raises(DiskError):
        beside("nbd://host/disk", "other")
    assert beside("https://u:p@host/vm/disk.vmdk?sig=1", "a b.vmdk") == "https://u:p@host/vm/a%20b.vmdk?sig=1"


def test_a_server_that_gives_no_ranges_is_not_read_whole(disk):
    pytest.importorskip("aiohttp", reason="the extra http is not installed here")
    with servers.web(disk, ranges=False) as web, pytest.raises(DiskError, match="does not give parts of a file"):
        block = afar.open_afar(f"{web.url}/disk.raw")
        block.seek(1 << 20)
        block.read(512)


@pytest.mark.parametrize(("code", "match"), [(404, "no such image"), (403, "may not be read"), (500, "can't open")])
def test_http_errors(disk, code, match):
    pytest.importorskip("aiohttp", reason="the extra http is not installed here")
    with servers.web(disk) as web:
        web.answer = lambda number: code
        with pytest.raises(DiskError, match=match) as caught:
            afar.open_afar(web.url.replace("//", "//me:s3cret@") + "/disk.raw?sig=t0ken")
        assert "s3cret" not in repr(caught.value) and "t0ken" not in str(caught.value) + str(caught.value.where)


def test_a_fault_that_passes_is_tried_again(disk):
    pytest.importorskip("aiohttp", reason="the extra http is not installed here")
    with servers.web(disk) as web:
        block = afar.open_afar(f"{web.url}/disk.raw")
        seen = len(web.asked)
        web.answer = lambda number: {1: 503, 2: -1}.get(number - seen)
        assert len(block.read(512)) == 512 and block.requests >= 2
        web.answer = lambda number: 503
        block.seek(32 << 20)
        with pytest.raises(DiskError, match="can't read the image at byte 33554432 after 4 tries") as caught:
            block.read(1)
        assert caught.value.where == f"{web.url}/disk.raw"


def test_nobody_there():
    with pytest.raises(DiskError, match="can't open the image"):
        afar.open_afar(f"nbd://127.0.0.1:{servers.free_port()}/disk")
    with pytest.raises(UsageError, match="names a socket"):
        afar.open_afar("nbd+unix:///disk")
    for place in ("nbd://host:port/disk", "http://me:s3cret@[::1/disk", "nbd://host:99999/disk"):
        with pytest.raises(UsageError, match="no address") as caught:
            afar.open_afar(place)
        assert "s3cret" not in str(caught.value)


def test_a_login_that_fails(tmp_path, monkeypatch):
    pytest.importorskip("sshfs", reason="the extra ssh is not installed here")
    with servers.sshd(tmp_path) as (port, _key):
        servers.with_key(monkeypatch)
        with pytest.raises(DiskError, match="may not be read"):
            afar.open_afar(f"ssh://root:s3cret@127.0.0.1:{port}/disk")


def test_a_missing_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(UsageError) as caught:
        afar.open_afar("s3://bucket/disk")
    assert "guestfix[s3]" in str(caught.value.remedy)


DATA = random.Random(7).randbytes(1 << 20)


def whole(one):
    greet(one)
    size_told(one, len(DATA))
    serve_disk(DATA, one)


def old_options(one):
    assert greet(one) == 7
    reply(one, (1 << 31) + 1)
    servers.take(one, 16 + 4)
    one.sendall(struct.pack(">QH", len(DATA), 1))
    serve_disk(DATA, one)


@pytest.mark.parametrize("talk", [whole, old_options])
def test_an_export_is_read_whole(talk):
    with servers.talking(talk) as address:
        block = afar.open_afar(address)
        assert block.read() == DATA and block.requests == 1
        block.seek(3)
        assert block.read(4) == DATA[3:7] and block.requests == 1
        block.close()


@pytest.mark.parametrize(
    ("talk", "match"),
    [
        (lambda one: one.sendall(b"HTTP/1.1 400 Bad Request\r\n"), "no NBD server"),
        (lambda one: one.sendall(b"NBDMAGIC\x00\x00\x42\x02\x81\x86\x12\x53" + bytes(16)), "no NBD server"),
        (lambda one: greet(one, 0), "no options"),
        (lambda one: (greet(one), reply(one, (1 << 31) + 5)), "wants TLS"),
        (lambda one: (greet(one), reply(one, (1 << 31) + 9)), "refuses the export"),
        (lambda one: (greet(one), reply(one, 1)), "tells no size"),
        (lambda one: (greet(one), one.sendall(bytes(20))), "no answer|none to an option"),
        (lambda one: (greet(one), reply(one, 3, bytes(70000))), "none to an option"),
        (lambda one: greet(one), "closed the connection"),
        (lambda one: None, "closed the connection|reset"),
        (lambda one: (greet(one), size_told(one, 0)), "empty"),
    ],
)
def test_servers_that_are_none(talk, match):
    with servers.talking(talk) as address, pytest.raises(DiskError, match=match):
        afar.open_afar(address)


def lost(one):
    greet(one)
    size_told(one, len(DATA))


def grown(one):
    greet(one)
    size_told(one, len(DATA) + 512)


def refusing(one):
    greet(one)
    size_told(one, len(DATA))
    serve_disk(DATA, one, code=1)


def failing(one):
    greet(one)
    size_told(one, len(DATA))
    serve_disk(DATA, one, code=5)


def mixed_up(one):
    greet(one)
    size_told(one, len(DATA))
    servers.take(one, 28)
    one.sendall(bytes(16))


def test_a_lost_connection_is_made_again():
    with servers.talking(lost, failing, mixed_up, whole) as address:
        block = afar.open_afar(address)
        assert block.read(1000) == DATA[:1000] and block.requests == 4


@pytest.mark.parametrize(
    ("talks", "match"),
    [((lost, grown), "another size"), ((refusing,), "the server refuses it"), ((lost,), "after 4 tries")],
)
def test_reading_that_fails(talks, match):
    with servers.talking(*talks) as address:
        block = afar.open_afar(address)
        with pytest.raises(DiskError, match=match):
            block.read(1)


# names


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("https://me:word@host:8/a/b.raw?X-Signature=1#x", "https://host:8/a/b.raw"),
        ("s3://bucket/key?versionId=3", "s3://bucket/key"),
        ("nbd://me@host/disk", "nbd://host/disk"),
        ("nbd+unix:///disk?socket=/run/a", "nbd+unix:///disk?socket=/run/a"),
        ("/srv/disk?x", "/srv/disk?x"),
    ],
)
def test_what_is_shown(place, name):
    assert shown(place) == name


def test_addresses():
    assert is_afar("nbd://x") and not is_afar("uml:x") and not is_afar("/nbd://x") and not is_afar("ftp://x/y")
    assert key_of("https://a/b") != key_of("https://a/c")


# the cache


class Memory:
    def __init__(self, data):
        self.data, self.size, self.asked, self.closed = data, len(data), [], False

    def fetch(self, start, count):
        assert count > 0 and start + count <= self.size
        self.asked.append((start, count))
        return self.data[start : start + count]

    def close(self):
        self.closed = True


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6000), st.lists(st.tuples(st.integers(0, 6500), st.integers(0, 3000)), max_size=20))
def test_every_read_is_what_is_there(size, reads):
    """With small pieces: whatever is asked in whatever order, nothing is fetched that is held."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranges, "PIECE", 64)
        patch.setattr(ranges, "KEPT", 1 << 20)
        memory = Memory(DATA[:size])
        block = ranges.RangeBlock(memory, "memory")
        for at, count in reads:
            block.seek(at)
            assert block.read(count) == memory.data[at : at + count]
        held = [place for start, count in memory.asked for place in range(start, start + count)]
        assert len(held) == len(set(held)) == block.fetched


def test_reading_on_asks_for_more_each_time_and_holds_little():
    memory = Memory(bytes(200 << 20))
    block = ranges.RangeBlock(memory, "memory")
    other = 150 << 20
    for at in range(0, 100 << 20, 1 << 14):
        block.seek(at)
        assert len(block.read(1 << 14)) == 1 << 14
        if at % (1 << 20) == 0:
            block.seek(other + at // 4)
            block.read(1 << 14)
    assert block.requests < 60
    assert max(count for _, count in memory.asked) == ranges.AHEAD * ranges.PIECE
    assert len(block._pieces) <= ranges.KEPT and block.fetched <= 180 << 20
    block.close()
    block.close()
    assert memory.closed and not block._pieces


def test_the_port_of_the_protocol():
    assert nbd.PORT == 10809
