"""Filters of classes, of single devices and of file systems."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix.formats.windows.filters import BOOT_CLASSES, CLASSES
from tests.build.windows import learn, make
from tests.build.windows_texts import C, service

DRIVERS = {f"Windows/System32/drivers/{name}.sys": b"x" for name in ("disk", "here", "snapman", "xenfilt")}


def listed(key: str, name: str, kind: str = "UpperFilters") -> str:
    return f'[{key}]\n"{kind}"=str(7):"{name}\\0"\n'


def found(tmp_path: Path, text: str, code: str) -> list:
    _, findings = learn(make(tmp_path, text, files=DRIVERS))
    return [one for one in findings if one.code == code]


@pytest.mark.parametrize("guid", CLASSES)
@pytest.mark.parametrize("kind", ["UpperFilters", "LowerFilters"])
def test_a_filter_that_is_gone_stops_what_the_disk_hangs_on(tmp_path: Path, guid: str, kind: str) -> None:
    text = listed(f"{C}\\Control\\Class\\{guid.upper()}", "gone", kind)
    (one,) = found(tmp_path, text, "GF-WINDOWS-FILTER-GONE")
    assert one.outcome == ("stops" if guid in BOOT_CLASSES else "")
    assert "gone" in one.evidence[0].text


@pytest.mark.parametrize(
    ("text", "orphan"),
    [
        (service("here", 0), False),
        (service("here", 4), True),
        (service("missing", 0).replace("missing", "here") + "", False),
        ("", True),
    ],
)
def test_gone_is_without_a_key_or_switched_off(tmp_path: Path, text: str, orphan: bool) -> None:
    text += listed(f"{C}\\Enum\\SCSI\\Disk\\0", "here")
    assert bool(found(tmp_path, text, "GF-WINDOWS-FILTER-GONE")) is orphan


def test_gone_is_without_its_file_too_but_for_windows_own(tmp_path: Path) -> None:
    guid = next(iter(BOOT_CLASSES))
    own = service("iorate", 0) + listed(f"{C}\\Control\\Class\\{guid}", "iorate")
    assert not found(tmp_path / "own", own, "GF-WINDOWS-FILTER-GONE")
    text = service("other", 0) + listed(f"{C}\\Control\\Class\\{guid}", "other")
    assert found(tmp_path / "other", text, "GF-WINDOWS-FILTER-GONE")


def minifilter(name: str, altitude: str, start: int = 0, group: str = "FSFilter Anti-Virus") -> str:
    base = f"{C}\\Services\\{name}\\Instances"
    return (
        service(name, start, 2, f'"Group"="{group}"')
        + f'[{base}]\n"DefaultInstance"="{name} one"\n[{base}\\{name} one]\n"Altitude"="{altitude}"\n'
    )


def test_file_system_filters_are_told_by_altitude(tmp_path: Path) -> None:
    text = minifilter("low", "40000.5") + minifilter("high", "320000") + minifilter("WdFilter", "328010")
    text += minifilter("later", "1", start=3)
    (one,) = found(tmp_path, text, "GF-WINDOWS-FOREIGN-FILTERS")
    assert one.severity == "info" and "WdFilter" not in one.summary and "later" not in one.summary
    assert one.summary.index("high") < one.summary.index("low") and "altitude 40000.5" in one.summary


def test_whose_filters_they_are(tmp_path: Path) -> None:
    guid = next(iter(BOOT_CLASSES))
    text = service("snapman", 0) + service("xenfilt", 0) + service("VMMouse", 3)
    text += listed(f"{C}\\Control\\Class\\{guid}", "snapman\\0xenfilt") + listed(
        f"{C}\\Enum\\ACPI\\PNP0F13\\1", "VMMouse"
    )
    facts, findings = learn(make(tmp_path, text, files={**DRIVERS, "Windows/System32/drivers/VMMouse.sys": b"x"}))
    assert facts.value("windows.platform_filters") == ["xenfilt"]
    assert facts.value("windows.foreign_filters") == ["snapman"]
    told = {one.code: one for one in findings}
    assert "Acronis" in told["GF-WINDOWS-FOREIGN-FILTERS"].summary
    assert told["GF-WINDOWS-FOREIGN-FILTERS"].severity == "warning"


def test_odd_values_are_passed_over(tmp_path: Path) -> None:
    text = f'[{C}\\Control\\Class\\{next(iter(BOOT_CLASSES))}]\n"UpperFilters"=dword:1\n'
    text += f'[{C}\\Services\\x]\n"Start"=dword:0\n"Group"=dword:5\n'
    text += f'[{C}\\Services\\x\\Instances]\n"DefaultInstance"=hex:1\n'
    assert not found(tmp_path, text, "GF-WINDOWS-FILTER-GONE")
