"""Every row of the reference table: its first and last version, each of its kernels, and what lies just outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from guestfix.base.facts import Facts
from guestfix.compat import judge
from guestfix.pack.ranges import key_of, parse_span
from tests.build.corpus import CORPUS
from tests.build.systems import SYSTEMS, kernel_release, verdict_of

REFERENCE = CORPUS.parent / "reference" / "compat-table.yaml"
SCHEMES = {system.id: system.scheme for system in SYSTEMS}
ANY_MINOR = ("rhel", "debian", "rocky", "centos")


def reference() -> dict[str, Any]:
    if not REFERENCE.is_file():
        return {"linux": [], "windows": [], "deprecated_from_2026_02_01": []}
    import yaml

    loaded: dict[str, Any] = yaml.safe_load(REFERENCE.read_text())
    return loaded


TABLE = reference()


def ends(row: dict[str, Any]) -> list[str]:
    """Return the first and the last version of a row, as a guest would say them."""
    first, dash, last = row["version"].partition(" - ")
    if dash:
        return [first, f"{first.split()[0]} {last}" if last.startswith("SP") else last]
    return [first, f"{first}.1", f"{first}.9"] if row["id"] in ANY_MINOR and "." not in first else [first]


def wanted(row: dict[str, Any], version: str) -> str:
    major = version.split(".")[0].split()[0]
    names = (f"{row['id']}-{major}", f"{row['id']}-{version}")
    return "deprecated" if any(name in TABLE["deprecated_from_2026_02_01"] for name in names) else "supported"


def params(rows: list[Any]) -> list[Any]:
    reason = f"no reference table at {REFERENCE}"
    return rows or [pytest.param(None, marks=pytest.mark.skip(reason=reason))]


INSIDE = [
    pytest.param((row, version, kernel), id=f"{row['id']}-{version}-{kernel_release(row['id'], version, kernel)}")
    for row in TABLE["linux"]
    for version in ends(row)
    for kernel in row["kernels"]
]


def test_all_rows_are_there() -> None:
    if not TABLE["linux"]:
        pytest.skip("no reference table")
    ours = {(row["id"], row["version"]): row for system in SYSTEMS for row in system.rows}
    for row in TABLE["linux"]:
        assert ours[row["id"], row["version"]]["kernels"] == row["kernels"]
        assert ours[row["id"], row["version"]].get("except", []) == row.get("except", [])
    assert len(TABLE["linux"]) == 61


@pytest.mark.parametrize("sample", params(INSIDE))
def test_inside(tmp_path: Path, sample: tuple[dict[str, Any], str, Any]) -> None:
    row, version, kernel = sample
    release = kernel_release(row["id"], version, kernel)
    verdict = verdict_of(tmp_path, row["id"], version, release)
    assert verdict.status == wanted(row, version), verdict.summary
    assert verdict.row is not None and verdict.row["version"] == row["version"]
    assert [(one.release, one.default) for one in verdict.kernels] == [(release, True)]
    assert verdict.source and verdict.date and verdict.evidence
    codes = [finding.code for finding in verdict.findings]
    assert codes == (["GF-OS-DEPRECATED"] if verdict.status == "deprecated" else [])


def steps_outside(version: str, ident: str) -> list[str]:
    """Return the versions just before and just after one, by its last number."""
    head, number = version[: len(version.rstrip("0123456789"))], version[len(version.rstrip("0123456789")) :]
    if ident == "ubuntu":
        year = int(version[:2])
        return [f"{year - 1}.10", f"{year}.10"] if version.endswith("04") else [f"{year}.04", f"{year + 1}.04"]
    found = [f"{head}{int(number) + 1}"]
    return found + ([f"{head}{int(number) - 1}"] if int(number) else [])


def listed_in_reference(ident: str, version: str) -> dict[str, Any] | None:
    key = key_of(version, SCHEMES[ident])
    assert key is not None
    rows = [row for row in TABLE["linux"] if row["id"] == ident]
    return next((row for row in rows if parse_span(row["version"], SCHEMES[ident]).holds(key)), None)


OUTSIDE = sorted(
    {
        (row["id"], outside)
        for row in TABLE["linux"]
        for version in ends(row)
        for outside in steps_outside(version, row["id"])
        if listed_in_reference(row["id"], outside) is None
    }
)


@pytest.mark.parametrize("sample", params(OUTSIDE), ids=str)
def test_version_just_outside(tmp_path: Path, sample: tuple[str, str]) -> None:
    ident, version = sample
    verdict = verdict_of(tmp_path, ident, version)
    assert verdict.status in ("unlisted", "unsupported"), verdict.summary
    (finding,) = verdict.findings
    assert finding.code == ("GF-OS-UNLISTED" if verdict.status == "unlisted" else "GF-OS-UNSUPPORTED")
    assert finding.severity == ("warning" if verdict.status == "unlisted" else "blocker")
    assert finding.evidence and finding.remedy


KERNELS_OUTSIDE = [
    pytest.param((row, release), id=f"{row['id']}-{row['version']}-{release}")
    for row in TABLE["linux"]
    for release in ("2.6.30-1.x86_64", "99.0.1-1-amd64")
] + [
    pytest.param((row, series), id=f"{row['id']}-{row['version']}-{series}")
    for row in TABLE["linux"]
    for kernel in row["kernels"]
    for series in [(kernel if isinstance(kernel, str) else kernel.get("series", "2.6.39")) + "9-1.generic"]
    if row["id"] != "ol"
]


@pytest.mark.parametrize("sample", params(KERNELS_OUTSIDE))
def test_kernel_just_outside(tmp_path: Path, sample: tuple[dict[str, Any], str]) -> None:
    row, release = sample
    verdict = verdict_of(tmp_path, row["id"], ends(row)[0], release)
    assert verdict.status == "unsupported"
    assert "unsupported kernel version" in verdict.summary
    finding = next(one for one in verdict.findings if one.code == "GF-KERNEL-UNSUPPORTED")
    assert finding.severity == "blocker" and release in finding.summary and finding.evidence


def windows_id(name: str) -> str:
    return name.lower().replace(" ", "-")


def windows_facts(ident: str, **more: Any) -> Facts:
    facts = Facts()
    for name, value in {"family": "windows", "id": ident, **more}.items():
        facts.put(f"os.{name}", value)
    return facts


@pytest.mark.parametrize("row", params(TABLE["windows"]), ids=lambda row: row["name"] if row else "none")
def test_windows_rows(row: dict[str, Any]) -> None:
    ident = windows_id(row["name"])
    ours = next(one for system in SYSTEMS for one in system.rows if one["id"] == ident)
    assert {key: ours.get(key) for key in ("editions", "arch", "min_service_pack", "note")} == {
        key: row.get(key) for key in ("editions", "arch", "min_service_pack", "note")
    }
    for arch in row["arch"]:
        verdict = judge(SYSTEMS, windows_facts(ident, arch=arch))
        old = ident in TABLE["deprecated_from_2026_02_01"] or arch == "x86"
        assert verdict.status == ("deprecated" if old else "supported")
        assert verdict.source and verdict.date
    if "x86" not in row["arch"]:
        assert judge(SYSTEMS, windows_facts(ident, arch="i686")).status == "unsupported"
    assert judge(SYSTEMS, windows_facts(ident, arch="aarch64")).status == "unsupported"


def test_seventeen_windows_rows() -> None:
    if not TABLE["windows"]:
        pytest.skip("no reference table")
    assert len(TABLE["windows"]) == 17
