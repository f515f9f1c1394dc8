"""What a report of a large disk costs on the network: 20 GB with a Debian of three kernels, by each kind of server."""

from __future__ import annotations

import random
from contextlib import contextmanager

import pytest

from tests.build import images, initramfs, servers
from tests.build.documents import report
from tests.build.tree import build

SHARE, REQUESTS = 0.03, 150
INITRAMFS = 34 << 20
"""Bytes of what a Debian's initramfs holds beside what is looked for in it."""


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """The disk, raw and as qcow2: files spread over it as in a system that is in use, and three initramfs."""
    if not images.have("mkfs.ext4", "sfdisk", "qemu-img"):
        pytest.skip("needs e2fsprogs, fdisk and qemu-utils")
    folder = tmp_path_factory.mktemp("large")
    tree, ballast = folder / "tree", random.Random(7).randbytes(INITRAMFS)
    with pytest.MonkeyPatch.context() as patch:
        for release in ("6.1.0-10-amd64", "6.1.0-11-amd64", "6.1.0-12-amd64"):
            patch.setattr(initramfs, "RELEASE", release)
            files = {**initramfs.inside(["ata_piix", "sd_mod", "scsi_mod"]), "usr/lib/firmware/x": ballast}
            image = initramfs.compress("gzip", initramfs.archive(files))
            made = initramfs.guest_files(image, initrd=f"initrd.img-{release}")
            build(tree, {path: data for path, data in made.items() if not (tree / path).exists()})
    images.debian(tree, "/dev/sda1 / ext4 defaults 0 1\n")
    build(tree, {f"usr/share/doc/p{at % 200}/{at}": "x" * 900 for at in range(4000)})
    raw = folder / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(20 << 30)
    images.run("sfdisk", "-q", raw, stdin="start=2048, type=83\n")
    images.run("mkfs.ext4", "-q", "-d", tree, "-E", "offset=1048576", raw, f"{(20 << 30) // 1024 - 2048}k")
    images.run("qemu-img", "convert", "-O", "qcow2", raw, folder / "disk.qcow2")
    return folder


@contextmanager
def over_nbd(disk, tmp_path, monkeypatch):
    with servers.qemu_nbd(disk / "disk.qcow2") as address:
        yield address % ""


@contextmanager
def over_http(disk, tmp_path, monkeypatch, name="disk.raw"):
    pytest.importorskip("aiohttp", reason="the extra http is not installed here")
    with servers.web(disk) as web:
        yield f"{web.url}/{name}"


@contextmanager
def as_qcow2(disk, tmp_path, monkeypatch):
    with over_http(disk, tmp_path, monkeypatch, "disk.qcow2") as address:
        yield address


@contextmanager
def over_s3(disk, tmp_path, monkeypatch):
    with servers.s3(monkeypatch) as store:
        store.put(str(disk / "disk.qcow2"), "bucket/disk.qcow2")
        yield "s3://bucket/disk.qcow2"


@contextmanager
def over_ssh(disk, tmp_path, monkeypatch):
    with servers.sshd(tmp_path) as (port, key):
        servers.with_key(monkeypatch, key)
        yield f"ssh://root@127.0.0.1:{port}{disk}/disk.raw"


@pytest.mark.parametrize("served", [over_nbd, over_http, as_qcow2, over_s3, over_ssh])
def test_a_large_disk_costs_few_bytes_and_requests(disk, tmp_path, monkeypatch, capsys, served):
    with served(disk, tmp_path, monkeypatch) as address:
        found = report(capsys, address)
    (opened,) = found["guest"]["files"]
    read = opened["read"]
    assert len(found["facts"]["kernel.releases"]["value"]) == 3
    assert 3 * INITRAMFS < read["bytes"] <= SHARE * (20 << 30)
    assert read["requests"] <= REQUESTS
