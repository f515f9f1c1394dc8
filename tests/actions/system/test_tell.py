"""A rule that tells of what files say: by lines that match, by paths that are there, and with codes that there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestfix import open_guest
from guestfix.actions.system.tell import MOST_PLACES, tell
from guestfix.actions.workbench import Workbench
from guestfix.base.errors import EditError
from guestfix.base.facts import Facts
from guestfix.base.overlay import Overlay
from guestfix.pack.model import Target
from tests.build.tree import build

CODE = "GF-DISK-MULTIPATHD"


def told(tmp_path: Path, files: dict[str, object], globs: tuple[str, ...], **args: str) -> list[str]:
    build(tmp_path, files)
    bench = Workbench(Overlay(open_guest(str(tmp_path))), Facts(), Target("t", "t"), rule="x/y")
    with bench.fs.acting("x/y", globs):
        tell(bench, **{"code": CODE, "severity": "info", "summary": "so it is", **args})
    return [f"{one.path}:{one.line}" for finding in bench.findings for one in finding.evidence]


@pytest.mark.parametrize(
    ("match", "places"),
    [
        ("", ["/etc/a:0", "/etc/b:0"]),
        ("find_multipaths *", ["/etc/a:2", "/etc/b:1"]),
        ("*greedy", ["/etc/b:1"]),
        ("nothing", []),
    ],
)
def test_each_place_is_told(tmp_path: Path, match: str, places: list[str]) -> None:
    files = {"etc/a": "# find_multipaths on\n  find_multipaths yes\n", "etc/b": "find_multipaths greedy\n"}
    assert told(tmp_path, files, ("/etc/*", "/etc/missing"), match=match) == places


def test_no_more_places_than_the_bound(tmp_path: Path) -> None:
    assert len(told(tmp_path, {"etc/a": "x\n" * 100}, ("/etc/a",), match="x")) == MOST_PLACES


@pytest.mark.parametrize("args", [{"code": "GF-NO-SUCH"}, {"severity": "blocker"}, {"match": "*" + "x*" * 20}])
def test_what_the_table_does_not_have_is_refused(tmp_path: Path, args: dict[str, str]) -> None:
    with pytest.raises(EditError):
        told(tmp_path, {"etc/a": "x\n"}, ("/etc/a",), **args)
