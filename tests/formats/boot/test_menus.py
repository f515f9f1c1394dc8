from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.base.errors import EditError
from guestfix.formats.boot import bls, cmdline, grubargs, grubcfg, grubenv, grublegacy, grubtest, syslinux
from guestfix.formats.boot.cmdline import ArgLine, Rewrite
from guestfix.formats.boot.entry import BootEntry, choose, split_choice
from tests.build import menus as samples
from tests.build.corpus import corpus_files
from tests.build.menus import HOSTILE

READERS: list[Callable[[bytes], list[ArgLine]]] = [
    grubargs.arg_lines,
    bls.arg_lines,
    grublegacy.arg_lines,
    syslinux.arg_lines,
]


def change(texts: Sequence[str], line: ArgLine) -> Rewrite:
    found = Rewrite()
    for at, text in enumerate(texts):
        if text.startswith("root=/dev/sda"):
            found.replace[at] = "root=UUID=x"
        elif text == "quiet":
            found.replace[at] = None
    if "console=ttyS0" not in texts:
        found.add.append("console=ttyS0")
    return found


@settings(max_examples=150, deadline=None)
@given(HOSTILE)
def test_any_bytes_are_read_and_edited_without_harm(src: bytes) -> None:
    for reader in READERS:
        lines = reader(src)
        for line in lines:
            spans = [(line.base + word.start, line.base + word.end) for word in line.words]
            assert spans == sorted(spans)
            assert all(0 <= start < end <= len(src) for start, end in spans)
        assert cmdline.rewrite_all(src, lines, lambda _t, _i: Rewrite()) is src
        once = cmdline.rewrite_all(src, lines, change)
        assert cmdline.rewrite_all(once, reader(once), change) == once
    after = grubargs.rewrite(src, change)
    assert grubargs.arg_lines(after) == grubargs.read_lines(after)
    assert grubargs.rewrite(after, change) is after
    grubenv.variables(src)


@settings(max_examples=100, deadline=None)
@given(HOSTILE)
def test_quick_and_full_reading_agree(src: bytes) -> None:
    def full(text: bytes) -> list[ArgLine]:
        script = grubcfg.parse.__wrapped__(text)
        list(script.walk())
        places = grubargs.Places(text)
        for node in script.walk():
            places.command(node)
        return places.found

    assert [(one.texts(), one.at) for one in grubargs.arg_lines(src)] == [(one.texts(), one.at) for one in full(src)]


PIECES = (
    b"'",
    b'"',
    b"{",
    b"}",
    b"\n",
    b"#",
    b"\\",
    b";",
    b"$x",
    b"${y}",
    b" if ",
    b" fi\n",
    b"linux ",
    b"\tinitrd /z\n",
    b" ",
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(PIECES) | st.integers(1, 12)), min_size=1, max_size=4))
def test_short_cuts_find_what_reading_all_finds(changes: list[tuple[int, bytes | int]]) -> None:
    """In a menu that was tampered with but is still one, the entries read by short cuts are the same."""
    menu = samples.debian().encode()
    text = bytearray(menu[menu.index(b"menuentry 'Debian") :])
    for place, change in changes:
        at = place % len(text)
        if isinstance(change, int):
            del text[at : at + change]
        else:
            text[at:at] = change
    src = bytes(text)
    quick = grubargs.read_lines(src)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grubcfg, "_simple_end", lambda *_: 0)
        grubcfg.parse.cache_clear()
        script = grubcfg.parse(src)
        if not script.problems:
            assert [(one.texts(), one.at, one.initrd, one.kernel) for one in grubargs.read_lines(src)] == [
                (one.texts(), one.at, one.initrd, one.kernel) for one in quick
            ]
    grubcfg.parse.cache_clear()


def test_grub_lines_are_spliced_and_nothing_else() -> None:
    src = samples.debian(versions=("6.1.0-18-amd64", "6.1.0-9-amd64")).encode()
    out = cmdline.rewrite_all(src, grubargs.arg_lines(src), change)
    expected = src.replace(b"root=/dev/sda2 ro  quiet", b"root=UUID=x ro console=ttyS0")
    assert out == expected.replace(b"root=/dev/sda2 ro single ", b"root=UUID=x ro single console=ttyS0 ")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"linux /v root=/dev/sda1\n", b"linux /v root=UUID=x console=ttyS0\n"),
        (b"linux /v\n", b"linux /v console=ttyS0\n"),
        (b"linux '/v z' quiet\n", b"linux '/v z' console=ttyS0\n".replace(b"' c", b"'  c")),
        (b"linux /v 'root=/dev/sda1' # no\n", b"linux /v root=UUID=x console=ttyS0 # no\n"),
        (b'set kernelopts=""\n', b'set kernelopts="console=ttyS0"\n'),
        (b'set other="root=/dev/sda1"\n', b'set other="root=/dev/sda1"\n'),
        (b"multiboot /xen.gz\nmodule /vmlinuz-1 root=/dev/sda1\n", None),
        (b"linux /v \\\n root=/dev/sda1\n", b"linux /v \\\n root=UUID=x console=ttyS0\n"),
    ],
)
def test_grub_words(before: bytes, after: bytes | None) -> None:
    after = after or before.replace(b"root=/dev/sda1", b"root=UUID=x console=ttyS0")
    assert cmdline.rewrite_all(before, grubargs.arg_lines(before), change) == after


def test_removing_every_word_and_neighbours() -> None:
    def gone(texts: Sequence[str], line: ArgLine) -> Rewrite:
        return Rewrite({at: None for at, text in enumerate(texts) if text != "b"}, [])

    for before, after in (
        (b"options a b c d\n", b"options b\n"),
        (b"options a c d\n", b"options \n"),
        (b"options  a  c  b\n", b"options  b\n"),
    ):
        assert cmdline.rewrite_all(before, bls.arg_lines(before), gone) == after


def test_problems_cost_a_line() -> None:
    script = grubcfg.parse(b"set a=1\n}\nfi\nset b='open\nset c=3\n")
    assert [line for line, _ in script.problems] == [2, 3, 4]
    assert [node.name for node in script.nodes][-1] == b"set"


@pytest.mark.parametrize(
    "text",
    [
        b"${" * 200_000,
        b"menuentry a {\n" * 40_000,
        b"{" * 200_000,
        b"if " * 100_000,
        b"'" * 200_001,
        b'"\\' * 200_000,
        b"linux " + b" " * 300_000 + b"'x",
        b"a=" + b"\\\n" * 150_000,
    ],
)
def test_hostile_files_take_linear_time(text: bytes) -> None:
    start = time.process_time()
    for reader in READERS:
        reader(text)
    assert time.process_time() - start < 30


# grubenv


def test_env_block_round_trip_and_size() -> None:
    block = grubenv.create({"saved_entry": "a\\b\nc", "x": "1"})
    assert len(block) == 1024
    assert grubenv.read(block) == {"saved_entry": "a\\b\nc", "x": "1"}
    assert grubenv.set_value(block, "x", "1") is block
    assert grubenv.unset(block, "nothing") is block
    assert grubenv.read(grubenv.unset(block, "saved_entry")) == {"x": "1"}
    with pytest.raises(EditError):
        grubenv.set_value(block, "y", "z" * 1024)
    with pytest.raises(EditError):
        grubenv.set_value(b"something else", "y", "z")


@pytest.mark.skipif(not shutil.which("grub-editenv"), reason="grub-editenv (grub-common) is not installed")
def test_env_block_against_grub_editenv(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    values = {"saved_entry": "id>sub", "kernelopts": "root=UUID=1 ro a\\b ", "boot_success": "0"}
    ours.write_bytes(grubenv.create(values))
    subprocess.run(["grub-editenv", theirs, "create"], check=True)
    subprocess.run(["grub-editenv", theirs, "set", *(f"{k}={v}" for k, v in values.items())], check=True)
    assert ours.read_bytes() == theirs.read_bytes()
    theirs.write_bytes(
        grubenv.unset(grubenv.set_value(theirs.read_bytes(), "saved_entry", "longer than before"), "boot_success")
    )
    listed = subprocess.run(["grub-editenv", theirs, "list"], check=True, capture_output=True, text=True).stdout
    assert "saved_entry=longer than before\n" in listed
    assert "boot_success" not in listed


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.text(max_size=30).filter(lambda t: "\0" not in t), max_size=4
    )
)
def test_env_block_law(values: dict[str, str]) -> None:
    block = grubenv.create(values)
    assert grubenv.read(block) == values
    for name in values:
        assert name not in grubenv.read(grubenv.unset(block, name))


def test_warning_line_of_newer_blocks_stays() -> None:
    body = grubenv.SIGNATURE + b"# WARNING: Do not edit this file by tools other than grub-editenv!!!\n"
    block = body + b"#" * (1024 - len(body))
    out = grubenv.set_value(block, "saved_entry", "x")
    assert out.startswith(body + b"saved_entry=x\n###")
    assert len(out) == 1024


# order, choice, tests


def test_bls_order_is_that_of_rpm() -> None:
    names = [
        "m-5.14.0-9.el9.conf",
        "m-0-rescue.conf",
        "m-5.14.0-70.el9.conf",
        "m-5.14.0-70.1.el9.conf",
        "m-5.9.0-1.conf",
    ]
    assert bls.sort_names(names) == [
        "m-5.14.0-70.1.el9.conf",
        "m-5.14.0-70.el9.conf",
        "m-5.14.0-9.el9.conf",
        "m-5.9.0-1.conf",
        "m-0-rescue.conf",
    ]
    assert bls.version_compare("1.0~rc1", "1.0") < 0
    assert bls.version_compare("1.0.1", "1.0") > 0


def test_choice_splits_at_single_marks() -> None:
    assert split_choice("a>>b>c>d") == ("a>b", "c>d")
    entries = [BootEntry("0x", "t", "grub2", "", 0, kernel="k"), BootEntry("35dc-1", "u", "grub2", "", 0, kernel="l")]
    assert choose(entries, "35dc-1") is entries[1]
    assert choose(entries, "9") is None
    assert choose(entries, "u") is entries[1]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("xy = xy", True),
        ("-z ", False),
        ("a -a ", False),
        ("-f /yes -a -n x", True),
        ("-f /no -o 3 -gt 2", True),
        ("! -e /yes", False),
        ("( a = b -o c = c ) -a d", True),
        ("1 -eq 01", True),
        ("-n", True),
    ],
)
def test_test_command(text: str, wanted: bool) -> None:
    words = text.split(" ") if text != "-z " else ["-z", "x"]
    assert grubtest.evaluate([word for word in words if word or text == "a -a "], lambda path: path == "/yes") is wanted


# oracle


@pytest.mark.skipif(not shutil.which("grub-script-check"), reason="grub-script-check (grub-common) is not installed")
@pytest.mark.parametrize(
    "text",
    [
        samples.debian(),
        samples.RHEL8,
        samples.WRAPPER,
        samples.DEBIAN_WRAPPER,
        "menuentry a { linux /x\n}\n",
        "if true; then echo a; else echo b; fi\n",
        "if true; then\n",
        "}\n",
        "fi\n",
        "for x in 1 2; do echo $x; done\n",
        "function f { echo 1; }\nf\n",
        "function f\n\n{\n echo 1\n}\nf\n",
        "function f\n",
        "echo 'a\nb' \"c\\\"d\" e\\ f # comment's\n",
        "menuentry 'it' { echo \"don't\"\n}\nsubmenu b {\nmenuentry c {\ntrue\n}\n}\n",
        "set a='open\n",
        "while true; do echo; done\n",
        "elif true; then\nfi\n",
    ],
)
def test_what_grub_accepts_has_no_problems(text: str, tmp_path: Path) -> None:
    path = tmp_path / "grub.cfg"
    path.write_text(text)
    accepted = subprocess.run(["grub-script-check", path], capture_output=True, check=False).returncode == 0
    script = grubcfg.parse(text.encode())
    list(script.walk())
    assert (not script.problems) == accepted


@pytest.mark.skipif(not shutil.which("grub-script-check"), reason="grub-script-check (grub-common) is not installed")
def test_corpus_files_are_accepted_by_both() -> None:
    files = [path for path in corpus_files("grub2") if b"menuentry_id_option" in path.read_bytes()]
    if not files:
        pytest.skip("no corpus beside the repository")
    for path in files:
        assert subprocess.run(["grub-script-check", path], check=False).returncode == 0
        assert grubcfg.parse(path.read_bytes()).problems == ()
