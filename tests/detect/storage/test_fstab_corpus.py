"""Every table and every /etc/default/grub of the corpus as a case: plan, apply, revert, with the case runner's laws."""

from __future__ import annotations

from pathlib import Path

import pytest

import guestfix
from guestfix.base.guest import Disk, Disks, Volume
from guestfix.cases.runner import Case, run_case
from guestfix.formats.storage import devices
from guestfix.formats.storage.fstab import readable
from tests.build.corpus import corpus_params

RULES = ("fstab/*", "crypttab/*", "grub/*")


def disks_for(src: bytes) -> Disks:
    """Return disks that have all that the table names; each device has a UUID of its own."""
    found = readable(src)
    kinds = {devices.normal(entry.spec): entry.type.split(",")[0].replace("auto", "") for entry in found}
    parts = [name for name in kinds if devices.is_unstable(name)]
    tags = [devices.tag(entry.spec).partition("=") for entry in found if devices.tag(entry.spec)]
    volumes = [Volume(name) for name in kinds if devices.is_layered(name)]
    for number, (tag, _, value) in enumerate(dict.fromkeys(tags)):
        volumes.append(Volume(f"/dev/mapper/tagged-{number}", **{tag.lower(): value}))
    numbered = (Volume(name, fstype=kinds[name] or None, uuid=f"0000-{n:04}") for n, name in enumerate(parts))
    return Disks((Disk("/dev/sdz"), Disk("/dev/sdy", partitions=tuple(numbered))), tuple(volumes))


def run(tmp_path: Path, files: dict[str, bytes], disks: Disks | None) -> str:
    for name, data in {"etc/os-release": b"ID=debian\nVERSION_ID=12\n", "etc/systemd/system/x": b"", **files}.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    options = guestfix.Options(RULES, confidence="possible")
    outcome = run_case(Case(tmp_path, "corpus", None, disks, options), guestfix.load_pack())
    assert outcome.failures == ()
    return outcome.text


@pytest.mark.parametrize("path", corpus_params("fstab"))
def test_tables_without_a_description_of_the_disks(path: Path, tmp_path: Path) -> None:
    assert "Rules\n" in run(tmp_path, {"etc/fstab": path.read_bytes()}, None)


@pytest.mark.parametrize("path", corpus_params("fstab"))
def test_tables_of_which_nothing_came_along(path: Path, tmp_path: Path) -> None:
    assert "Rules\n" in run(tmp_path, {"etc/fstab": path.read_bytes()}, Disks())


@pytest.mark.parametrize("path", corpus_params("fstab"))
def test_tables_of_which_all_came_along(path: Path, tmp_path: Path) -> None:
    src = path.read_bytes()
    unstable = [entry for entry in readable(src) if devices.is_unstable(entry.spec)]
    text = run(tmp_path, {"etc/fstab": src}, disks_for(src))
    assert text.count("    +UUID=0000-") == len(unstable)
    assert "nofail was added" not in text
    assert "UNRESOLVED" not in text


@pytest.mark.parametrize("path", corpus_params("grubdefault"))
def test_menu_settings(path: Path, tmp_path: Path) -> None:
    files = {"etc/default/grub": path.read_bytes(), "etc/default/grub.d/50-x.cfg": path.read_bytes()}
    assert "grub/timeout" in run(tmp_path, files, None)


@pytest.mark.parametrize("path", corpus_params("mdadm", "lvm"))
def test_other_files_in_their_place_do_no_harm(path: Path, tmp_path: Path) -> None:
    src = path.read_bytes()
    run(tmp_path, {"etc/fstab": src, "etc/default/grub": src, "etc/crypttab": src}, Disks())
