"""Links lead nowhere but into the guest, by whichever way it is read or written, and while they are swapped too."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.apply.copies import copy_originals
from guestfix.backends import Request, beneath, open_guest
from guestfix.backends.directory import DirectoryGuest, open_place
from guestfix.backends.resolve import resolve
from guestfix.base.errors import GuestError, GuestfixError, NotFound, SymlinkLoop
from guestfix.base.guest import Meta, Stat
from guestfix.base.record import replace
from guestfix.base.recorder import Recorder
from guestfix.cases.harvest import write_tree
from guestfix.commands.registry import _logs_beside
from tests.build.plans import every_kind, make_guest, plan_for
from tests.build.tree import build
from tests.hostile import races

TARGETS = (
    "/",
    "/a",
    "/a/b/c",
    "..",
    "../..",
    "../../../..",
    "a",
    "b/../c",
    "./b",
    "loop",
    "/b/./../a",
    "gone/../a",
    "c",
)
NAMES = ("a", "b", "c", "loop")
PLACES = tuple(f"{x}/{y}/{z}" for x in NAMES for y in NAMES for z in NAMES)


@pytest.fixture
def without_openat2(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take openat2(2) away, as on Linux before 5.6 and below some container runtimes."""

    def refuse(descriptor: int, path: str) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(beneath, "openat2", refuse)


def test_this_kernel_has_openat2(tmp_path: Path) -> None:
    """Else the tests below would try the descriptor walk twice."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/up").symlink_to("../../../../../../..")
    root = os.open(tmp_path, os.O_PATH)
    try:
        found = beneath.openat2(root, "a/up/a")
    except OSError as error:
        pytest.skip(f"openat2(2) is not to be had here: {error.strerror}")
    assert os.readlink(f"/proc/self/fd/{found}") == str(tmp_path / "a")
    os.close(found)
    os.close(root)


def outcome(call: Callable[[str], object], path: str) -> object:
    try:
        return call(path)
    except GuestfixError as error:
        return type(error).__name__


def by_text(root: Path, path: str, *, follow: bool) -> str:
    """Resolve with the code that the image backends share, on a tree that nobody changes."""

    def target(real: str) -> str | None:
        try:
            return os.readlink(f"{root}{real}")
        except OSError:
            return None

    return resolve(path, lambda folder, name: f"{folder.rstrip('/')}/{name}", target, follow=follow)


def looked_up(guest: DirectoryGuest, path: str, *, follow: bool) -> object:
    """Return the Stat without the access time, which reading a link may set."""
    found = outcome(lambda one: guest.stat(one, follow=follow), path)
    return replace(found, atime_ns=0) if isinstance(found, Stat) else found


trees = st.dictionaries(st.sampled_from(PLACES), st.sampled_from(("file", "dir", *TARGETS)), max_size=8)
paths = st.lists(st.sampled_from((*NAMES, "..", ".", "", "gone")), max_size=6).map(lambda parts: "/" + "/".join(parts))


@settings(max_examples=150, deadline=None)
@given(trees, st.dictionaries(st.sampled_from(NAMES), st.sampled_from(TARGETS)), st.lists(paths, max_size=8))
def test_both_ways_and_the_text_resolver_agree(tree: dict[str, str], links: dict[str, str], asked: list[str]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, "guest")
        root.mkdir()
        for name, target in links.items():
            (root / name).symlink_to(target)
        for place, what in tree.items():
            _make(root, place, what)
        fast, slow = DirectoryGuest(str(root)), DirectoryGuest(str(root))
        slow.beneath._by_kernel = lambda path: None  # type: ignore[method-assign]
        for path in asked:
            for follow in (True, False):
                wanted = outcome(lambda one, follow=follow: by_text(root, one, follow=follow), path)
                for guest in (fast, slow):
                    found = outcome(lambda one, g=guest, f=follow: g.beneath.place(one, follow=f).real, path)
                    assert found == wanted, (path, follow)
                assert looked_up(fast, path, follow=follow) == looked_up(slow, path, follow=follow)
            assert outcome(fast.list, path) == outcome(slow.list, path)


def _make(root: Path, place: str, what: str) -> None:
    folder = root
    for name in place.split("/")[:-1]:
        folder /= name
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            return
        folder.mkdir(exist_ok=True)
    path = root / place
    if os.path.lexists(path):
        return
    if what == "file":
        path.write_text("inside")
    elif what == "dir":
        path.mkdir()
    else:
        path.symlink_to(what)


OPERATIONS: dict[str, Callable[[DirectoryGuest], object]] = {
    "read": lambda guest: guest.read("/etc/fstab"),
    "open": lambda guest: guest.open("/etc/fstab").read(),
    "meta": lambda guest: guest.meta("/etc/fstab"),
    "stat": lambda guest: guest.stat("/etc/fstab"),
    "list": lambda guest: guest.list("/etc"),
    "readlink": lambda guest: guest.readlink("/etc/link"),
    "realpath": lambda guest: guest.realpath("/etc/link"),
    "put": lambda guest: guest.put("/etc/new", [b"x"], Meta()),
    "put_symlink": lambda guest: guest.put_symlink("/etc/new", "x", Meta(0o777, os.geteuid(), os.getegid())),
    "mkdir": lambda guest: guest.mkdir("/etc/new", Meta(0o755)),
    "rename": lambda guest: guest.rename("/etc/fstab", "/etc/new"),
    "keep": lambda guest: guest.keep("/etc/fstab", "/etc/new"),
    "drop": lambda guest: guest.drop("/etc/fstab"),
    "set_times": lambda guest: guest.set_times("/etc/fstab", 1, 2),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("way", ["openat2", "walk"])
@pytest.mark.parametrize("target", ["absolute", "dots"])
def test_a_folder_becomes_a_link_in_the_middle_of_an_operation(
    name: str, way: str, target: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking up and doing, /etc is swapped; what lies outside is neither seen nor changed."""
    if way == "walk":
        request.getfixturevalue("without_openat2")
    files = {"etc/fstab": "inside", "etc/link": ("link", "fstab")}
    root = build(tmp_path / "guest", files)
    secrets = {"etc/fstab": "SECRET outside", "etc/link": ("link", "SECRET"), "etc/SECRET": ""}
    outside = build(tmp_path / "outside", secrets)
    before = races.tree(outside)
    place = beneath.Beneath.place
    where = str(outside / "etc") if target == "absolute" else "../" * 30 + str(outside / "etc").lstrip("/")

    def swapped(self: beneath.Beneath, path: str, *, follow: bool = True) -> beneath.Place:
        found = place(self, path, follow=follow)
        if not (root / "etc").is_symlink():
            (root / "etc").rename(root / "etc.real")
            (root / "etc").symlink_to(where)
        return found

    guest = DirectoryGuest(str(root))
    monkeypatch.setattr(beneath.Beneath, "place", swapped)
    said: list[object] = []
    for _ in range(2):  # once swapped in between, once swapped before
        try:
            said.append(OPERATIONS[name](guest))
        except (GuestError, OSError) as error:
            said.append(str(error))
    assert (root / "etc").is_symlink()
    assert "SECRET" not in repr(said) and not any(getattr(one, "size", 0) == len("SECRET outside") for one in said)
    assert races.tree(outside) == before


@pytest.mark.usefixtures("without_openat2")
@pytest.mark.parametrize("path", ["/a", "/a/x", "/self/x"])
def test_loops_end_without_openat2_too(path: str, tmp_path: Path) -> None:
    for name, target in {"a": "b", "b": "a", "self": "self"}.items():
        (tmp_path / name).symlink_to(target)
    with pytest.raises(SymlinkLoop):
        DirectoryGuest(str(tmp_path)).read(path)


@pytest.mark.parametrize("path", ["/\ud800", "/etc/\udfff/x", "/a\0b", "/\ud800/../etc"])
def test_what_can_be_no_path_is_not_found(path: str, tmp_path: Path) -> None:
    guest = make_guest(tmp_path / "guest")
    with pytest.raises(NotFound):
        guest.read(path)
    assert guest.stat(path) is None


def test_descriptors_are_bounded_and_given_back(tmp_path: Path) -> None:
    for index in range(600):
        (tmp_path / f"d{index}").mkdir()
        (tmp_path / f"d{index}/file").write_text("x")
    before = len(os.listdir("/proc/self/fd"))
    guest = DirectoryGuest(str(tmp_path))
    for index in range(600):
        assert guest.read(f"/d{index}/file") == b"x"
    assert len(os.listdir("/proc/self/fd")) < before + beneath.MAX_OPEN + 10
    guest.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_tree_deeper_than_there_are_descriptors_is_an_error(tmp_path: Path) -> None:
    """The walk keeps every folder on the way open; a path of 2,000 folders is refused and nothing leaks."""
    deep, at = "/d" * 2000, os.open(tmp_path, os.O_PATH)
    for _ in range(2000):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_PATH, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    guest = DirectoryGuest(str(tmp_path))
    guest.beneath._by_kernel = lambda path: None  # type: ignore[method-assign]
    try:
        assert outcome(guest.stat, f"{deep}/file") in (None, "Unreadable")
        assert guest.list("/") == ("d",)
    finally:  # pytest's own clean-up of old folders calls itself for each level, and a later run would end in that
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


def test_a_guest_can_not_pass_for_a_bundle_that_leads_outside(tmp_path: Path) -> None:
    """``root`` and ``disks.yaml`` beside no /etc mean a test guest's folder: links don't count for that."""
    host = build(tmp_path / "host", {"etc/hostname": "host"})
    guest = build(
        tmp_path / "guest", {"disks.yaml": "disks: []\n", "root": ("link", str(host)), "etc": ("link", "gone")}
    )
    assert open_place(str(guest), Request()).list("/") == ("disks.yaml", "etc", "root")
    (guest / "etc").unlink()
    assert open_place(str(guest), Request()).list("/") == ("disks.yaml", "root")
    (guest / "root").unlink()
    build(guest / "root", {"etc/hostname": "inner"})
    assert open_guest(str(guest)).read("/etc/hostname") == b"inner"
    (guest / "disks.yaml").unlink()
    (guest / "disks.yaml").symlink_to(build(tmp_path / "other", {"disks.yaml": "- secret"}) / "disks.yaml")
    assert open_guest(str(guest)).list("/") == ("disks.yaml", "root")


def test_a_harvest_is_not_led_outside_by_links_that_it_wrote(tmp_path: Path) -> None:
    """A folder that was a link when it was written, and is a folder when a file in it is."""
    outside = build(tmp_path / "outside", {"etc/keep": ""})
    guest = make_guest(tmp_path / "guest")
    recorder = Recorder(guest)
    recorder.read("/etc/fstab")
    (tmp_path / "case").mkdir()
    (tmp_path / "case/in").mkdir()
    (tmp_path / "case/in/etc").symlink_to(outside / "etc")
    before = races.tree(outside)
    (tmp_path / "case/in").rename(tmp_path / "case/made")

    def mkdir(self: Path, *args: object, **kwargs: object) -> None:
        (tmp_path / "case/made").rename(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "mkdir", mkdir)
        try:
            write_tree(recorder, tmp_path / "case/in")
        except OSError as error:
            assert error.errno in (errno.EEXIST, errno.ENOENT)
    assert races.tree(outside) == before


def test_copies_of_the_originals_are_not_led_outside_and_are_private(tmp_path: Path) -> None:
    outside = build(tmp_path / "outside", {"fstab": "mine", "plan": "mine"})
    guest = make_guest(tmp_path / "guest")
    copies = build(tmp_path / "copies", {"plan.json": ("link", str(outside / "plan"))})
    build(copies, {"originals/etc/fstab": ("link", str(outside / "fstab"))})
    copy_originals(guest, plan_for(guest, every_kind), str(copies))
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"fstab": "mine", "plan": "mine"}
    assert (copies / "originals/etc/fstab").read_text() == "/dev/sda1 / ext4 defaults 0 1\n"
    modes = {oct(path.lstat().st_mode & 0o777) for path in copies.rglob("*") if path.is_file()}
    assert modes == {"0o600"}


@pytest.mark.parametrize("user", [0, races.NOBODY] if os.geteuid() == 0 else [os.geteuid()])
def test_swapped_runs_read_and_write_nothing_outside(user: int, capfd: pytest.CaptureFixture[str]) -> None:
    """``python -m tests.hostile.races`` makes 10,000 of these (docs/security.md)."""
    folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    assert races.many(user, 60, folder=folder), capfd.readouterr().err
    assert "none outside" in capfd.readouterr().out


def test_the_harness_sees_a_reader_that_follows_links(tmp_path: Path) -> None:
    """Else it could pass for ever: a path that the kernel resolves on the host is found out."""
    root, _ = races.make_trees(tmp_path, secret=True)
    races._exchange(os.fsencode(root / "etc"), os.fsencode(root / "etc.swap"))
    assert races.MARK in (root / "etc/hosts").read_text()
    assert races.MARK not in repr(races.read_everything(DirectoryGuest(str(root))))


def test_a_hives_logs_are_no_links_and_no_pipes(tmp_path: Path) -> None:
    """A hive in a hostile folder, which is named on the command line: what lies beside it is the guest's."""
    for name in ("SYSTEM", "SYSTEM.LOG", "SOFTWARE", "SOFTWARE.LOG1"):
        (tmp_path / name).touch()
    (tmp_path / "SYSTEM.LOG1").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "SYSTEM.LOG2")
    assert "SYSTEM.LOG1" not in str(_logs_beside(str(tmp_path / "SYSTEM")))
    assert "SYSTEM.LOG2" not in str(_logs_beside(str(tmp_path / "SYSTEM")))
    assert _logs_beside(str(tmp_path / "SOFTWARE")) == [str(tmp_path / "SOFTWARE.LOG1")]
