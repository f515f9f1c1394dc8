"""The cache folder holds data, stays small, and is never a reason to fail."""

import json
import os

import pytest

from guestfix.backends.disks.sidecar import read_disks
from guestfix.base import cache


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "guestfix"


def test_what_is_written_is_read():
    assert cache.read("a") is None
    cache.write("a", {"x": [1, None, "ü"]})
    assert cache.read("a") == {"x": [1, None, "ü"]}


def test_the_oldest_are_forgotten(folder):
    for number in range(cache.KEPT + 5):
        cache.write(f"n{number}", number)
        os.utime(folder / f"n{number}.json", (number, number))
    cache.write("last", 1)
    assert len(list(folder.iterdir())) == cache.KEPT
    assert cache.read("n0") is None and cache.read("last") == 1


def test_a_disks_description_is_read_again_only_when_it_changed(tmp_path, folder, monkeypatch):
    file = tmp_path / "disks.yaml"
    file.write_text(
        "disks:\n- {device: /dev/sda, size: 5, partitions: [{device: /dev/sda1, aliases: [/dev/x], uuid: u}]}\n"
    )
    first = read_disks(str(file))
    monkeypatch.setattr("guestfix.backends.disks.sidecar.parse_disks", None)
    assert read_disks(str(file)) == first
    (kept,) = folder.iterdir()
    monkeypatch.undo()
    for damage in ("", "[]", "{}", json.dumps({"disks": [1], "volumes": []})):
        kept.write_text(damage)
        assert read_disks(str(file)) == first
    file.write_text("disks: []\n")
    assert read_disks(str(file)).disks == ()
