"""What Windows shows on its screen, read from pictures that are drawn here: no Windows was started for them."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest

from guestfix.backends.runfolder import RunFolder
from guestfix.base.errors import GuestfixError
from guestfix.pack.cache import load_pack
from guestfix.verify import screens
from guestfix.verify.picture import Picture, read_picture
from guestfix.verify.run import Setting, start
from guestfix.verify.screens import STOPS, shown_by, text_of

FONTS = Path("/usr/share/fonts/truetype/dejavu")
needs_tesseract = pytest.mark.skipif(not screens.can_read(), reason="tesseract-ocr is not installed")
needs_font = pytest.mark.skipif(not (FONTS / "DejaVuSans.ttf").exists(), reason="fonts-dejavu-core is not installed")

TEN = (
    ":(\nYour PC ran into a problem and needs to restart. We're just collecting some error info, and then we'll\n"
    "restart for you.\n20% complete\nFor more information about this issue and possible fixes, visit\n"
    "https://www.windows.com/stopcode\nIf you call a support person, give them this info:\nStop code: {}"
)
SEVEN = (
    "A problem has been detected and Windows has been shut down to prevent damage\nto your computer.\n\n"
    "If this is the first time you've seen this Stop error screen,\nrestart your computer.\n\n"
    "Technical information:\n\n"
    "*** STOP: {} (0xF78D2524,0xC0000034,0x00000000,0x00000000)"
)
MANAGER = (
    "Windows failed to start. A recent hardware or software change might be the\ncause. To fix the problem:\n\n"
    "File: {}\nStatus: {}\nInfo: {}"
)
LOGON = "Press Ctrl+Alt+Delete to unlock.\n12:04\nMonday, November 30"


def draw(text: str, ground: str, size: tuple[int, int] = (1024, 768), font: str = "DejaVuSans.ttf", points: int = 20):
    """Return a picture with this text, white on a ground, as QEMU would give it."""
    image = pytest.importorskip("PIL.Image")
    letters = pytest.importorskip("PIL.ImageDraw")
    face = pytest.importorskip("PIL.ImageFont").truetype(str(FONTS / font), points)
    made = image.new("RGB", size, ground)
    letters.Draw(made).multiline_text((60, 80), text, fill="white", font=face, spacing=8)
    out = io.BytesIO()
    made.save(out, "PPM")
    picture = read_picture(out.getvalue())
    assert picture is not None
    return picture


def test_a_picture_is_a_png_and_letters_are_dark_on_light(tmp_path):
    image = pytest.importorskip("PIL.Image")
    found = read_picture(b"P6\n2 1\n255\n" + bytes([255, 0, 0, 0, 255, 0]))
    assert found == Picture(2, 1, bytes([255, 0, 0, 0, 255, 0]))
    again = image.open(io.BytesIO(found.png()))
    assert again.size == (2, 1) and [again.getpixel((at, 0)) for at in (0, 1)] == [(255, 0, 0), (0, 255, 0)]
    dark = Picture(3, 2, bytes([0, 0, 99] * 5 + [255, 255, 255]))
    grey = image.open(io.BytesIO(dark.letters()))
    assert grey.size == (3, 2) and grey.getpixel((0, 0)) == 255 and grey.getpixel((2, 1)) == 0
    light = image.open(io.BytesIO(Picture(1, 1, b"\xff\xff\xff").letters()))
    assert light.getpixel((0, 0)) == 255


@pytest.mark.parametrize("data", [
    b"no picture", b"", b"P6\n2 1\n255\n\0", b"P6\n0 1\n255\n\0", b"P6\n-2 1\n255\n\0", b"P6\n99999 99999\n255\n\0",
    b"P6\nx y\n255\n\0", b"P5\n1 1\n255\n\0\0\0", b"P6\n1 1\n65535\n\0\0\0",
])  # fmt: skip
def test_what_is_no_picture_is_none(data):
    assert read_picture(data) is None


@pytest.mark.parametrize(("text", "kind", "step", "why"), [
    (TEN.format("INACCESSIBLE_BOOT_DEVICE"), "stop", "drivers", "0x0000007B INACCESSIBLE_BOOT_DEVICE"),
    (TEN.format("INACCESSIBLE BOOT DEV1CE"), "stop", "drivers", "0x0000007B"),
    (TEN.format("CRITICAL PROCESS DIED"), "stop", "", "0x000000EF"),
    (TEN.format("UNREADABLE"), "stop", "", "a code that can't be read"),
    (TEN.format("OxcOOO021a"), "stop", "", "code 0xC000021A"),
    (TEN.format("0xC000021A"), "stop", "", "code 0xC000021A"),
    (SEVEN.format("0x0000007B"), "stop", "drivers", "0x0000007B"),
    (SEVEN.format("@x0090007B"), "stop", "drivers", "0x0000007B"),
    (SEVEN.format("Ox000000ED"), "stop", "root", "UNMOUNTABLE_BOOT_VOLUME"),
    (SEVEN.format("0x00000074"), "stop", "registry", "BAD_SYSTEM_CONFIG_INFO"),
    (MANAGER.format("\\Boot\\BCD", "OxcOOO000f", "An error"), "manager", "loader", "no store"),
    (MANAGER.format("\\Windows\\system32\\winload.exe", "0xc0000428", "x"), "manager", "kernel", "winload"),
    (MANAGER.format("\\windows\\system32\\config\\system", "0xc000014c", "x"), "manager", "registry", "SYSTEM"),
    (MANAGER.format("a", "0xc000000e", "x"), "manager", "entry", "can't reach"),
    (MANAGER.format("a", "?", "x"), "manager", "entry", "an error"),
    (LOGON, "logon", "", ""), ("Getting devices ready 45%", "setup", "", ""),
])  # fmt: skip
def test_texts_of_windows(text, kind, step, why):
    found = shown_by(text)
    assert found is not None and (found.kind, found.step) == (kind, step) and why in found.why, found
    assert found.line and "\n" not in found.line


@pytest.mark.parametrize("text", [
    "", "SeaBIOS (version 1.16)\nBooting from Hard Disk...", "Debian GNU/Linux 12 debian tty1\n\ndebian login: ",
    "\x00" * 50,
    "0x0000007B", "INACCESSIBLE_BOOT_DEVICE is a code", "Windows Server 2022",
])  # fmt: skip
def test_what_shows_nothing_of_it(text):
    assert shown_by(text) is None


@pytest.mark.parametrize("number", STOPS)
def test_every_code_is_known_by_number_and_by_name(number):
    name = STOPS[number]
    for text in (SEVEN.format(f"0x{number:08X}"), TEN.format(name), TEN.format(name.replace("_", " "))):
        found = shown_by(text)
        assert found is not None and name in found.why, (text, found)


@needs_tesseract
@needs_font
@pytest.mark.parametrize(("text", "ground", "wanted"), [
    (TEN.format("INACCESSIBLE BOOT DEVICE"), "#0078d7", "0x0000007B"),
    (TEN.format("CRITICAL PROCESS DIED"), "#000000", "0x000000EF"),
    (SEVEN.format("0x0000007B"), "#000080", "0x0000007B"),
    (MANAGER.format("\\Boot\\BCD", "0xc000000f", "An error occurred"), "#000000", "no store"),
    (LOGON, "#003060", "logon"),
    ("Getting devices ready 45%", "#000000", "setup"),
])  # fmt: skip
def test_pictures_are_read(text, ground, wanted):
    run = RunFolder()
    try:
        found = shown_by(text_of(draw(text, ground, points=17), run))
    finally:
        run.close()
    assert found is not None and wanted in (found.why or found.kind), found


@needs_tesseract
@pytest.mark.skipif(not shutil.which("qemu-system-x86_64"), reason="QEMU is not installed")
def test_a_guest_that_shows_a_stop_screen_ends_there_with_its_picture(tmp_path):
    """A boot sector: text mode 3, white on blue all over, then the text of a stop screen, and a loop."""
    text = SEVEN.format("0x0000007B").replace("\n", "\r\n").encode()[:380]
    code = bytes.fromhex("b80300cd10b80006b71f31c9ba4f18cd1031c08ed8be307cac84c07409b40ebb1f00cd10ebf2ebfe")
    sector = (code.ljust(0x30, b"\x90") + text + b"\0").ljust(510, b"\0") + b"\x55\xaa"
    disk = tmp_path / "disk.raw"
    disk.write_bytes(sector + bytes(10 << 20))
    pictures: list[bytes] = []
    setting = Setting(memory=64, ssh=False, windows=True, patience=90)
    try:
        seen = start([str(disk)], load_pack().targets["kvm-virtio"], setting, keep_screen=pictures.append)
    except GuestfixError as error:
        pytest.skip(error.what)
    assert seen.stop is not None and (seen.ending, seen.stop.step) == ("stopped", "drivers"), (seen.stop, seen.console)
    assert "0x0000007B INACCESSIBLE_BOOT_DEVICE" in seen.stop.why and len(pictures) == 1
    image = pytest.importorskip("PIL.Image").open(io.BytesIO(pictures[0]))
    assert image.format == "PNG" and image.width >= 640


def test_a_windows_whose_screen_nobody_reads_says_so(monkeypatch):
    from guestfix.verify import run

    monkeypatch.setattr(run, "can_read", lambda: False)
    assert "tesseract" in run._blind(Setting(windows=True))[0] and run._blind(Setting()) == ()
    folder = RunFolder()
    monkeypatch.setattr(screens, "find_program", lambda name: None)
    assert text_of(Picture(1, 1, b"\0\0\0"), folder) == ""
    folder.close()
