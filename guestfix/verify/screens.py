"""What Windows shows on its screen: a stop screen and its code, the boot manager's errors, the logon screen.

Letters are read by tesseract where it is installed; the texts are the English ones. Sources: Microsoft's "Bug Check
Code Reference" (names and numbers), "Advanced troubleshooting for Windows boot problems" (the boot manager's texts).
"""

from __future__ import annotations

import difflib
import subprocess
from re import Pattern

from guestfix.backends.packages import install
from guestfix.backends.runfolder import RunFolder, die_with_parent
from guestfix.backends.status import find_program
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.verify.picture import Picture

PROGRAM = "tesseract"
READ_SECONDS = 30.0
MAX_POINTS = 4_000_000
MAX_TEXT = 20_000

STOPS = {
    0x0A: "IRQL_NOT_LESS_OR_EQUAL", 0x1E: "KMODE_EXCEPTION_NOT_HANDLED", 0x24: "NTFS_FILE_SYSTEM",
    0x31: "PHASE0_INITIALIZATION_FAILED", 0x32: "PHASE1_INITIALIZATION_FAILED", 0x3B: "SYSTEM_SERVICE_EXCEPTION",
    0x50: "PAGE_FAULT_IN_NONPAGED_AREA", 0x51: "REGISTRY_ERROR", 0x5C: "HAL_INITIALIZATION_FAILED",
    0x67: "CONFIG_INITIALIZATION_FAILED", 0x69: "IO1_INITIALIZATION_FAILED", 0x6B: "PROCESS1_INITIALIZATION_FAILED",
    0x74: "BAD_SYSTEM_CONFIG_INFO", 0x79: "MISMATCHED_HAL", 0x7B: "INACCESSIBLE_BOOT_DEVICE",
    0x7E: "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED", 0x7F: "UNEXPECTED_KERNEL_MODE_TRAP",
    0x9F: "DRIVER_POWER_STATE_FAILURE", 0xA5: "ACPI_BIOS_ERROR", 0xC2: "BAD_POOL_CALLER",
    0xD1: "DRIVER_IRQL_NOT_LESS_OR_EQUAL", 0xED: "UNMOUNTABLE_BOOT_VOLUME", 0xEF: "CRITICAL_PROCESS_DIED",
    0x101: "CLOCK_WATCHDOG_TIMEOUT", 0x109: "CRITICAL_STRUCTURE_CORRUPTION", 0x124: "WHEA_UNCORRECTABLE_ERROR",
    0x133: "DPC_WATCHDOG_VIOLATION", 0x139: "KERNEL_SECURITY_CHECK_FAILURE",
}  # fmt: skip
"""Codes of stop screens that a start may end with, by number."""

_STEPS = {0x7B: "drivers", 0xED: "root", 0x24: "root", 0x51: "registry", 0x67: "registry", 0x74: "registry"}
"""The step of the walk that a code is of; others are of the kernel or a driver, at whatever step."""

_STOP = regex(
    r"(?i)\bst[o0]p ?[c¢]?[o0]?de|\*{2,} ?st[o0]p|\bst[o0]p: ?.[xX]|this st[o0]p error"
    r"|a problem has been detected and windows|ran into a problem"
)
_HEX = regex(r"(?<![A-Za-z0-9])[0OoQ@©][xX×]([0-9A-Fa-fOoQ@IlS]{8,16})(?![A-Za-z0-9])")
_NUMBER = regex(r"0x([0-9A-F]{8})")
_NAME = regex(r"[A-Z][A-Z0-9]+(?:[_ .][A-Z0-9]+){1,6}")
_ODD = regex(r"[^A-Z0-9]")
_DIGITS = str.maketrans("OoQ@IlS", "0000115")
"""Letters that a digit is taken for; a nought with a stroke is read as @."""
_MANAGER = (
    (regex(r"(?i)boot configuration data|0xc000000f|0xc0000034"), "loader", "the boot manager finds no store"),
    (regex(r"(?i)config\\?.?system\b|0xc0000218"), "registry", "the SYSTEM hive can't be read"),
    (regex(r"(?i)winl[o0]ad|0xc0000428|0xc000035a"), "kernel", "the boot manager can't start winload"),
    (regex(r"(?i)0xc000000e|0xc0000225|0xc0000001"), "entry", "the boot manager can't reach what the entry names"),
)
_FAILED = regex(r"(?i)windows failed to start|windows boot manager|needs to be repaired|recovery[^\n]{0,40}\bneeds")
_LOGON = regex(r"(?i)press ctrl ?.{0,3}alt ?.{0,3}del|\bother user\b|\bsign-in options\b|\bswitch user\b")
_SETUP = regex(r"(?i)getting (?:devices|ready)|setup is (?:starting|preparing|installing)|let'?s start with region")


@frozen
class Shown:
    """What a screen shows: ``stop``, ``manager``, ``setup`` or ``logon``; the step it is of, why, and its line."""

    kind: str
    step: str
    why: str
    line: str


def missing() -> str:
    """Say that nothing is read from a screen here, and the command that changes it."""
    return f"nothing is read from the screen, for tesseract is not installed ({install(PROGRAM)})"


def can_read() -> bool:
    """Tell whether letters can be read here."""
    return find_program(PROGRAM) is not None


def text_of(picture: Picture, run: RunFolder) -> str:
    """Return the letters in a picture; empty where there are none, or nothing reads them here."""
    program = find_program(PROGRAM)
    if program is None or picture.width * picture.height > MAX_POINTS:
        return ""
    try:
        done = subprocess.run(
            [program, "stdin", "stdout", "--psm", "6", "-l", "eng"], input=picture.letters(), capture_output=True,
            timeout=READ_SECONDS, check=False, env={**run.environment(), "OMP_THREAD_LIMIT": "1"},
            start_new_session=True, preexec_fn=die_with_parent(),
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout[:MAX_TEXT].decode("utf-8", "replace")


def shown_by(text: str) -> Shown | None:
    """Return what a screen with this text shows of Windows, None where it shows none of what is known."""
    text = _HEX.sub(lambda found: f"0x{found[1].translate(_DIGITS).upper()}", text)
    stop = _stopped(text)
    if stop:
        return stop
    if _FAILED.search(text):
        for pattern, step, why in _MANAGER:
            if found := pattern.search(text):
                return Shown("manager", step, why, _line(text, found.start()))
        return Shown("manager", "entry", "the boot manager shows an error", _line(text, _at(_FAILED, text)))
    for kind, pattern in (("logon", _LOGON), ("setup", _SETUP)):
        if found := pattern.search(text):
            return Shown(kind, "", "", _line(text, found.start()))
    return None


def _stopped(text: str) -> Shown | None:
    if not _STOP.search(text):
        return None
    other = next(iter(_numbers(text)), None)
    number = next(iter(_names(text)), None) if other not in STOPS else other
    if number is None:
        code = f"code 0x{other:08X}" if other is not None else "a code that can't be read"
        return Shown("stop", "", f"a stop screen with {code}", _line(text, _at(_STOP, text)))
    why = f"a stop screen, 0x{number:08X} {STOPS[number]}"
    return Shown("stop", _STEPS.get(number, ""), why, _line(text, _at(_STOP, text)))


def _numbers(text: str) -> list[int]:
    """Return the numbers of eight digits and more; all but a few codes begin with five noughts, whatever is read."""
    found = [int(one[1], 16) for one in _NUMBER.finditer(text)]
    return [one if one >> 28 == 0xC else one & 0xFFF for one in found]


def _names(text: str) -> list[int]:
    """Return the codes whose names stand in the text, or nearly: a letter may have been misread."""
    plain = {name.replace("_", ""): number for number, name in STOPS.items()}
    words = [_ODD.sub("", one[0]) for one in _NAME.finditer(text)]
    near = [match for word in words for match in difflib.get_close_matches(word, plain, 1, 0.85)]
    return [plain[one] for one in near]


def _line(text: str, at: int) -> str:
    begin = text.rfind("\n", 0, at) + 1
    return text[begin : at + 200].partition("\n")[0].strip() or text[at : at + 200].strip()


def _at(pattern: Pattern[str], text: str) -> int:
    found = pattern.search(text)
    return found.start() if found else 0
