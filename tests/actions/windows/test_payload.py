from __future__ import annotations

import io
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from guestfix.actions import payload as host_payload
from guestfix.actions.payload import Payload, open_payload
from guestfix.actions.windows.payload import locate, packages
from guestfix.base.errors import TooLarge, UsageError
from guestfix.formats.windows.inf import Platform
from guestfix.pack.cache import load_pack
from tests.build.windows_payload import inf

W10 = Platform("amd64", 10, 0, 19045)
FOLDERS = load_pack().tables["driver-folders"]
S2022 = Platform("amd64", 10, 0, 20348, 3)


def folder(tmp_path: Path, files: dict[str, bytes]) -> Payload:
    for path, data in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    return open_payload(str(tmp_path))


def virtio_win() -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for system in ("w7", "w10", "w11", "2k19"):
        for arch, decoration in (("amd64", "amd64"), ("x86", "x86")):
            base = f"viostor/{system}/{arch}"
            files[f"{base}/viostor.inf"] = inf("viostor", decoration)
            files[f"{base}/viostor.sys"] = f"{system} {arch}".encode()
            files[f"{base}/Viostor.cat"] = b"signed"
            files[f"{base}/viostor.pdb"] = b"symbols"
    return files


def test_the_folder_of_the_guest_is_chosen(tmp_path: Path) -> None:
    payload = folder(tmp_path, virtio_win())
    (package,) = packages(payload, "windows-10", W10, FOLDERS)
    assert package.inf == "viostor/w10/amd64/viostor.inf"
    assert package.services() == ("viostor",)
    assert package.files == tuple(f"viostor/w10/amd64/{n}" for n in ("Viostor.cat", "viostor.inf", "viostor.sys"))
    assert locate(payload, package, "VIOSTOR.CAT") == "viostor/w10/amd64/Viostor.cat"
    assert locate(payload, package, "other.sys") is None


@pytest.mark.parametrize(
    ("os_id", "platform", "expected"),
    [
        ("windows-11", W10, "viostor/w11/amd64"),
        ("windows-7", Platform("x86", 6, 1), "viostor/w7/x86"),
        ("windows-server-2008-r2", Platform("amd64", 6, 1, 7601, 3), "viostor/w7/amd64"),
        ("windows-server-2022", S2022, "viostor/2k19/amd64"),
        ("windows-10", Platform("arm64", 10, 0), None),
        ("windows-xp", Platform("x86", 5, 1), None),
    ],
)
def test_by_system_and_architecture(tmp_path: Path, os_id: str, platform: Platform, expected: str | None) -> None:
    found = packages(folder(tmp_path, virtio_win()), os_id, platform, FOLDERS)
    assert [package.folder for package in found] == ([expected] if expected else [])


def test_without_known_folder_names_the_inf_decides_and_the_newest_wins(tmp_path: Path) -> None:
    payload = folder(
        tmp_path,
        {
            "a/drv.inf": inf("drv", "amd64.6.1", "01/02/2020,1.9"),
            "b/drv.inf": inf("drv", "amd64.10.0", "01/02/2023,1.10"),
            "c/drv.inf": inf("drv", "amd64.10.0...99999", "01/02/2025,2.0"),
            "d/drv.inf": inf("drv", "x86", "01/02/2025,2.0"),
            "e/broken.inf": b"\xff\xfe[",
        },
    )
    assert [package.inf for package in packages(payload, "windows-10", W10, FOLDERS)] == ["b/drv.inf"]


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "drv.sys").symlink_to("../secret")
    (tmp_path / "p" / "inner.sys").symlink_to("real.sys")
    (tmp_path / "p" / "real.sys").write_bytes(b"real")
    os.mkfifo(tmp_path / "p" / "fifo")
    payload = open_payload(str(tmp_path / "p"))
    assert payload.read("inner.sys") == b"real"
    for name in ("drv.sys", "fifo", "missing"):
        with pytest.raises(UsageError):
            payload.read(name)


def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = folder(tmp_path, {"a.sys": b"12345", "b.sys": b"1"})
    monkeypatch.setattr(host_payload, "MAX_FILE", 4)
    with pytest.raises(TooLarge):
        payload.read("a.sys")
    monkeypatch.setattr(host_payload, "MAX_FILES", 1)
    with pytest.raises(UsageError):
        open_payload(str(tmp_path))


def test_not_a_payload(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in ("none", "fifo"):
        with pytest.raises(UsageError):
            open_payload(str(tmp_path / path))


def test_an_iso_image(tmp_path: Path) -> None:
    pycdlib = pytest.importorskip("pycdlib")
    iso = pycdlib.PyCdlib()
    iso.new(joliet=3)
    iso.add_directory("/VIOSTOR", joliet_path="/viostor")
    iso.add_directory("/VIOSTOR/W10", joliet_path="/viostor/w10")
    data = inf("viostor", "amd64")
    iso.add_fp(io.BytesIO(data), len(data), "/VIOSTOR/W10/VIOSTOR.INF;1", joliet_path="/viostor/w10/viostor.inf")
    iso.write(str(tmp_path / "virtio-win.iso"))
    iso.close()
    payload = open_payload(str(tmp_path / "virtio-win.iso"))
    assert payload.files == ("viostor/w10/viostor.inf",)
    assert payload.read("viostor/w10/viostor.inf") == data
    assert [package.name for package in packages(payload, "windows-10", W10, FOLDERS)] == ["viostor"]


@pytest.mark.skipif(shutil.which("genisoimage") is None, reason="genisoimage is not installed")
@pytest.mark.parametrize("options", [(), ("-J",), ("-r",), ("-udf",), ("-J", "-r", "-udf")])
def test_an_iso_image_of_every_kind(tmp_path: Path, options: tuple[str, ...]) -> None:
    folder(tmp_path / "p", virtio_win())
    image = tmp_path / "v.iso"
    subprocess.run(["genisoimage", "-quiet", *options, "-o", image, tmp_path / "p"], check=True, capture_output=True)
    payload = open_payload(str(image))
    (package,) = packages(payload, "windows-10", W10, FOLDERS)
    assert package.inf.lower() == "viostor/w10/amd64/viostor.inf"
    place = locate(payload, package, "viostor.sys")
    assert place is not None and payload.read(place) == b"w10 amd64"
    with pytest.raises(UsageError):
        payload.read("none")


def test_a_broken_iso_image(tmp_path: Path) -> None:
    (tmp_path / "x.iso").write_bytes(b"no image" * 9000)
    with pytest.raises(UsageError):
        open_payload(str(tmp_path / "x.iso"))


def test_every_windows_that_can_be_told_has_its_folders() -> None:
    from guestfix.detect.windows import os as windows_os

    told = {*windows_os._SERVERS.values(), *windows_os._CLIENTS.values()} | {
        one for _, one in windows_os._SERVER_BUILDS
    }
    told |= {"windows-10", "windows-11", "windows-server-1809", "windows-server-2003-r2"}
    assert told - FOLDERS.keys() == {"windows-2000", "windows-2000-server"}
