"""What the operator brings for a Linux: how it is described, whom it fits, what is refused; and revert is exact."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestfix import apply_plan, make_plan, open_guest, open_writable, revert
from guestfix.actions.payload import Payload
from guestfix.actions.system import brought
from guestfix.base.errors import GuestfixError, PackError, UsageError
from guestfix.cases.runner import snapshot
from guestfix.cli import run
from guestfix.pack.cache import load_pack
from guestfix.plan.planner import Options
from tests.build.tree import build

GUEST = {
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
    "etc/fstab": "UUID=1111-2222 / ext4 defaults 0 1\n",
    "var/lib/dpkg/status": "",
}
DEB = b"!<arch>\ndebian-binary   1700000000  0     0     100644  4         `\n2.0\n"


def payload(**files: str | bytes) -> Payload:
    named = {name.replace("_dot_", ".").replace("__", "/"): data for name, data in files.items()}
    held = {name: data.encode() if isinstance(data, str) else data for name, data in named.items()}
    return Payload("/p", tuple(sorted(held)), held.__getitem__)


def planned(tmp_path: Path, **files: str | bytes):
    folder = tmp_path / "payload"
    given = payload(**files)
    for name in given.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(given.read(name))
    if not (tmp_path / "guest").exists():
        build(tmp_path / "guest", GUEST)
    options = Options(only=("payload/*",), extra={"payload.dir": str(folder)})
    return make_plan(open_guest(str(tmp_path / "guest")), load_pack(), "kvm-virtio", options)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("with: [b.deb]\n", "no file 'b.deb'"),
        ("with: ['../x']\n", "no file '../x'"),
        ("with: ['/etc/passwd']\n", "no file"),
        ("with: ['a b.deb']\n", "can't be brought by the name"),
        ("with: ['$(reboot).deb']\n", "can't be brought by the name"),
        ("with: ['-rf']\n", "can't be brought by the name"),
        ("with: [a.deb]\n", "each of another name"),
        ("arch: [amd64]\n", "'arch' can't be"),
        ("versions: [\"13 - 12\"]\n", "ends before it begins"),
        ("versions: [new]\n", "no version"),
        ("seconds: 0\n", "'seconds' must be"),
        ("seconds: 9999999\n", "'seconds' must be"),
        ("args: [\"a\\nb\"]\n", "control characters"),
        ("sha256: abc\n", "64 hexadecimal digits"),
        ("sha256: {other: abc}\n", "64 hexadecimal digits"),
        ("titel: x\n", "titel"),
        ("- a\n", "mapping"),
        ("a: [\n", "a.yaml:"),
    ],
)  # fmt: skip
def test_mistakes_have_their_line(text: str, words: str) -> None:
    with pytest.raises(PackError) as caught:
        list(brought.described(payload(a_dot_deb=DEB, a_dot_yaml=text)))
    assert words in str(caught.value) and "a.yaml:" in str(caught.value)


@given(st.text(max_size=200))
def test_any_yaml_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(GuestfixError):
        assert len(list(brought.described(payload(a_dot_sh="#!/bin/sh\n", a_dot_yaml=text)))) == 1


@pytest.mark.parametrize("kind", sorted(brought.KINDS))
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UsageError, match=f"this is no {kind}"):
        planned(tmp_path, **{f"a{kind.replace('.', '_dot_')}": b"MZ", "a_dot_yaml": "title: A\n"})


def test_a_file_that_the_yaml_does_not_vouch_for_is_refused(tmp_path: Path) -> None:
    text = f"with: b.deb\nsha256: {{b.deb: {'0' * 64}}}\n"
    with pytest.raises(UsageError, match=r"the YAML beside a\.deb says 000"):
        planned(tmp_path, a_dot_deb=DEB, b_dot_deb=DEB, a_dot_yaml=text)


def test_a_link_out_of_the_payload_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.sh").write_text("#!/bin/sh\n")
    (tmp_path / "payload").mkdir()
    (tmp_path / "payload/a.sh").symlink_to("../secret.sh")
    (tmp_path / "payload/a.yaml").write_text("title: A\n")
    with pytest.raises(UsageError, match="leads out of the payload"):
        planned(tmp_path)


def test_more_than_the_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brought, "MOST_BYTES", 10)
    with pytest.raises(UsageError, match="more than 10 bytes"):
        planned(tmp_path, a_dot_deb=DEB, a_dot_yaml="title: A\n")


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two things of the payload have this name"):
        planned(tmp_path, x__a_dot_deb=DEB, x__a_dot_yaml="title: A\n", y__a_dot_deb=DEB, y__a_dot_yaml="title: A\n")


def test_a_guest_without_the_package_manager_is_told(tmp_path: Path) -> None:
    build(tmp_path / "guest", {**GUEST, **{f"usr/bin/p{number}": b"" for number in range(60)}})
    found = planned(tmp_path, a_dot_deb=DEB, a_dot_yaml="title: A\n")
    (told,) = (one.summary for one in found.findings if one.rule)
    assert not found.changes and "the guest has no dpkg" in told


def test_revert_takes_all_of_it_away_and_status_tells_what_came_of_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = planned(
        tmp_path, a_dot_deb=DEB, a_dot_yaml="title: A\n", run_dot_sh="#!/bin/sh\n", run_dot_yaml="title: B\n"
    )
    root = tmp_path / "guest"
    before = snapshot(str(root))
    apply_plan(open_writable(str(root)), found)
    home = root / "var/lib/guestfix-payload"
    assert (home / "tasks/a.deb/a.deb").read_bytes() == DEB and (
        home / "tasks/a.deb/a.deb"
    ).stat().st_mode & 0o777 == 0o600
    assert (root / "etc/systemd/system/multi-user.target.wants/guestfix-payload.service").is_symlink()
    assert run(["status", str(root), "--format", "json"]) == 0
    assert json.loads(capfd.readouterr().out)["first_start"] is None
    (home / "started").mkdir()
    (home / "started/outcome").write_text(
        "started 2026-11-30T01:00:00Z\nbegin a.deb T\nend a.deb 0 T\n"
        "begin run.sh T\nend run.sh 9 T\nfinished 2026-11-30T01:00:09Z\n"
    )
    assert run(["status", str(root), "--format", "json"]) == 0
    told = json.loads(capfd.readouterr().out)["first_start"]
    assert [(one["name"], one["code"]) for one in told["tasks"]] == [("a.deb", 0), ("run.sh", 9)]
    assert run(["status", str(root)]) == 0
    text = capfd.readouterr().out
    assert "began 2026-11-30T01:00:00Z, finished 2026-11-30T01:00:09Z" in text and "  run.sh: exit code 9" in text
    (home / "started/outcome").unlink()
    (home / "started").rmdir()
    revert(open_writable(str(root)))
    assert snapshot(str(root)) == before


@pytest.mark.parametrize("kind", ["link", "folder", "file"])
def test_a_hostile_outcome_harms_nobody(tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    build(tmp_path / "guest", GUEST)
    home = tmp_path / "guest/var/lib/guestfix-payload"
    home.mkdir()
    if kind == "link":
        (home / "started").symlink_to("/etc")
    elif kind == "folder":
        (home / "started/outcome").mkdir(parents=True)
    else:
        (home / "started").mkdir()
        (home / "started/outcome").write_bytes(b"started \x1b[2J\nend \x1b]0;x 1 T\nend a\x1b 1 T\n" + b"x" * (2 << 20))
    assert run(["status", str(tmp_path / "guest")]) == 0
    assert "\x1b" not in capfd.readouterr().out
