"""A stranger's rule pack: it reads, writes and quotes no file but its own, and costs a bounded time and memory."""

import json
import os
import resource
import shutil
import socket
import stat
import time
from pathlib import Path

import pytest

from guestfix.base import cache
from guestfix.base.errors import GuestfixError, PackError
from guestfix.base.globs import MAX_MATCHES, fault_of, glob, path_matches
from guestfix.base.guest import Stat
from guestfix.base.versions import version_key
from guestfix.cases.runner import bless, compare, find_cases, read_case, run_case
from guestfix.pack.cache import load_pack
from guestfix.pack.files import BOUNDS, MAX_FILES
from guestfix.pack.load import MAX_NODES
from guestfix.pack.ranges import RangeError, expand, parse_span
from guestfix.pack.when import ConditionError, read_condition
from guestfix.pack.yamlpos import MAX_PROBLEMS, parse
from tests.build.packs import make_pack

SECRET = "hunter2-of-the-host"
SECONDS, MEGABYTES = 10, 400
"""What one hostile pack may cost (SECURITY.md)."""

CASE = "title: a case\nrules: [fstab/shares]\n"


@pytest.fixture
def secret(tmp_path):
    """A file of the host, and the folder that it is in."""
    file = tmp_path / "host" / "secret.yaml"
    file.parent.mkdir()
    file.write_text(f"{SECRET}: [\n")
    return file


@pytest.fixture
def pack(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return make_pack(tmp_path / "pack")


@pytest.fixture
def case(pack):
    folder = pack / "fix/fstab/shares/cases/one"
    (folder / "in/etc").mkdir(parents=True)
    (folder / "case.yaml").write_text(CASE)
    (folder / "in/etc/os-release").write_text("ID=debian\nVERSION_ID=12\n")
    (folder / "in/etc/fstab").write_text("/dev/sda1 / ext4 defaults 0 1\n")
    return folder


def refusal(function, *args) -> str:
    """Return the text of the error that a call ends with; it holds nothing of the host."""
    started = time.process_time()
    with pytest.raises(GuestfixError) as raised:
        function(*args)
    assert time.process_time() - started < SECONDS
    assert SECRET not in str(raised.value)
    return str(raised.value)


# links and special files


def a_link(place: Path, secret: Path) -> None:
    place.unlink(missing_ok=True)
    place.symlink_to(secret)


def a_dangling_link(place: Path, secret: Path) -> None:
    place.unlink(missing_ok=True)
    place.symlink_to("nowhere")


def a_loop(place: Path, secret: Path) -> None:
    place.unlink(missing_ok=True)
    place.symlink_to(place.name)


def a_pipe(place: Path, secret: Path) -> None:
    place.unlink(missing_ok=True)
    os.mkfifo(place)


def a_socket(place: Path, secret: Path) -> None:
    place.unlink(missing_ok=True)
    before = os.getcwd()
    os.chdir(place.parent)
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(place.name)
    finally:
        os.chdir(before)


def a_device(place: Path, secret: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a device")
    place.unlink(missing_ok=True)
    os.mknod(place, stat.S_IFCHR | 0o600, os.makedev(1, 5))


ODD = (a_link, a_dangling_link, a_loop, a_pipe, a_socket, a_device)


@pytest.mark.parametrize("name", ["pack.yaml", "compat.yaml", "targets/azure.yaml", "fix/fstab/shares/rule.yaml", "x"])
@pytest.mark.parametrize("make", ODD, ids=lambda one: one.__name__)
def test_a_pack_holds_only_files_and_folders(pack, secret, make, name):
    make(pack / name, secret)
    assert "may hold only files and folders" in refusal(load_pack, pack)


@pytest.mark.parametrize("name", ["fix", "targets", "fix/fstab", "os"])
def test_a_folder_may_be_no_link(pack, secret, name):
    shutil.rmtree(pack / name)
    (pack / name).symlink_to(secret.parent)
    assert "this is a link" in refusal(load_pack, pack)


@pytest.mark.parametrize("name", ["case.yaml", "expect.txt"])
@pytest.mark.parametrize("make", ODD, ids=lambda one: one.__name__)
def test_a_case_holds_only_files_and_folders(pack, case, secret, make, name):
    make(case / name, secret)
    message = refusal(lambda: [compare(run_case(one, load_pack(pack))) for one in find_cases(pack)])
    assert str(case / name) in message


@pytest.mark.parametrize("name", ["in", "."])
def test_the_folders_of_a_case_may_be_no_link(pack, case, secret, name):
    (secret.parent / "case.yaml").write_text(CASE)
    shutil.rmtree(case / name)
    (case / name if name != "." else case).symlink_to(secret.parent)
    if name == "in":
        outcome = run_case(read_case(case), load_pack(pack))
        assert "this is a link" in outcome.text and SECRET not in outcome.text
        assert outcome.failures
    else:
        assert "this is a link" in refusal(find_cases, pack)


@pytest.mark.parametrize("make", [a_pipe, a_socket, a_device], ids=lambda one: one.__name__)
def test_a_guest_of_a_case_holds_no_device(pack, case, secret, make):
    make(case / "in/etc/fstab", secret)
    outcome = run_case(read_case(case), load_pack(pack))
    assert "may hold only files and folders" in outcome.text and outcome.failures


def test_links_of_a_guest_stay_in_the_guest(pack, case, secret):
    a_link(case / "in/etc/fstab", secret)
    (case / "in/root").symlink_to(secret.parent)
    outcome = run_case(read_case(case), load_pack(pack))
    assert SECRET not in outcome.text + repr(outcome.failures)
    assert secret.read_text() == f"{SECRET}: [\n"


@pytest.mark.parametrize("name", ["SYSTEM.reg", "SYSTEM"])
def test_registry_texts_are_neither_read_nor_written_through_links(pack, case, secret, name):
    config = case / "in/Windows/System32/config"
    config.mkdir(parents=True)
    (config / "SYSTEM.reg").write_text("Windows Registry Editor Version 5.00\n\n[HKEY_LOCAL_MACHINE\\SYSTEM\\Select]\n")
    a_link(config / name, secret)
    outcome = run_case(read_case(case), load_pack(pack))
    assert SECRET not in outcome.text + repr(outcome.failures)
    assert secret.read_text() == f"{SECRET}: [\n"


def test_a_registry_text_below_a_linked_folder_is_left_alone(pack, case, secret):
    (secret.parent / "SYSTEM.reg").write_text(SECRET)
    (case / "in/config").symlink_to(secret.parent)
    outcome = run_case(read_case(case), load_pack(pack))
    assert SECRET not in outcome.text + repr(outcome.failures)
    assert sorted(os.listdir(secret.parent)) == ["SYSTEM.reg", "secret.yaml"]


def test_a_new_golden_report_replaces_a_link(pack, case, secret):
    outcome = run_case(read_case(case), load_pack(pack))
    a_link(case / "expect.txt", secret)
    bless(outcome)
    assert not (case / "expect.txt").is_symlink() and compare(outcome) == ""
    assert secret.read_text() == f"{SECRET}: [\n"


@pytest.mark.parametrize("payload", ["..", "../..", "/etc", "a/../..", "./x", "a//b"])
def test_a_payload_is_below_its_case(case, payload):
    (case / "case.yaml").write_text(f"{CASE}payload: {payload}\n")
    assert "must be a path below the case's folder" in refusal(read_case, case)


def test_a_payload_is_no_link(pack, case, secret):
    (case / "case.yaml").write_text(f"{CASE}payload: drivers\n")
    (case / "drivers").symlink_to(secret.parent)
    outcome = run_case(read_case(case), load_pack(pack))
    assert "this is a link" in outcome.text and SECRET not in outcome.text


def test_a_rule_names_no_payload_of_the_host(pack, secret):
    rule = pack / "fix/fstab/shares/rule.yaml"
    text = rule.read_text().partition("do:")[0]
    args = f"payload: {secret.parent}, storage: [], network: [], choice: all"
    rule.write_text(f"{text}do:\n  - in: /Windows/**\n    action: windows.inject\n    args: {{{args}}}\n")
    assert "there is no argument 'payload'" in refusal(load_pack, pack)


def test_hidden_folders_are_no_part_of_a_pack(pack):
    before = load_pack(pack)
    (pack / ".git").mkdir()
    (pack / ".git/x.yaml").write_text("a: [")
    (pack / ".git/link").symlink_to("/etc/passwd")
    assert load_pack(pack).digest == before.digest


@pytest.mark.parametrize("name", [b"\xff.yaml", b"a\nb.yaml", "ü.yaml".encode(), b"a b.yaml", b"\x1b[2J.yaml"])
def test_names_are_plain(pack, name):
    Path(os.fsdecode(os.fsencode(pack / "targets") + b"/" + name)).write_text("id: x\n")
    message = refusal(load_pack, pack)
    assert "named with letters" in message and "\x1b" not in message
    message.encode()


# bounds


def test_the_size_is_known_before_a_file_is_read(pack):
    with open(pack / "targets/big.yaml", "wb") as stream:
        stream.truncate(1 << 40)
    assert "larger than" in refusal(load_pack, pack)


def test_all_files_together_are_bounded(pack):
    for number in range(3):
        (pack / f"targets/b{number}.yaml").write_bytes(b"#" * BOUNDS.file)
    assert "in all" in refusal(load_pack, pack)


def test_the_number_of_files_is_bounded(pack):
    for number in range(MAX_FILES):
        (pack / f"targets/t{number}.yaml").write_text("id: x\n")
    assert f"at most {MAX_FILES} YAML files" in refusal(load_pack, pack)


def test_the_number_of_entries_is_bounded(pack):
    (pack / "many").mkdir()
    for number in range(BOUNDS.entries + 1):
        (pack / f"many/{number}").touch()
    assert f"more than {BOUNDS.entries} entries" in refusal(load_pack, pack)


def test_the_depth_is_bounded(pack):
    (pack / "/".join("d" * (BOUNDS.depth + 1))).mkdir(parents=True)
    assert f"deeper than {BOUNDS.depth} levels" in refusal(load_pack, pack)


def test_the_guest_of_a_case_is_bounded(pack, case):
    with open(case / "in/etc/big", "wb") as stream:
        stream.truncate(1 << 40)
    outcome = run_case(read_case(case), load_pack(pack))
    assert "larger than" in outcome.text and outcome.failures


def test_a_deep_guest_of_a_case_is_refused(pack, case):
    (case / "in" / "/".join("d" * 80)).mkdir(parents=True)
    outcome = run_case(read_case(case), load_pack(pack))
    assert "deeper than" in outcome.text and outcome.failures


DEEP = 200_000
YAML = {
    "lists": "[" * DEEP,
    "maps": "{a: " * DEEP,
    "block lists": "- " * DEEP,
    "question marks": "? " * DEEP,
    "indented": "\n".join(" " * depth + "a:" for depth in range(1200)),
    "items": "[" + "a," * DEEP,
    "keys": "{" + "".join(f"k{number}: v,\n" for number in range(40_000)) + "}",
    "one key again": "a: 1\n" * 100_000,
    "keys that are lists": "[x]: 1\n" * 100_000,
    "aliases": "- *a\n" * 100_000,
    "anchors": "- &a x\n" * 60_000,
    "a line of mistakes": "{" + ",".join(["a: !t x"] * 60_000) + "}",
    "a billion laughs": "a: &a [x,x]\n" + "".join(f"b{n}: &b{n} [*a,*a]\n" for n in range(30)),
    "tags": "!" * DEEP,
    "an open quote": '"' + "x" * 900_000,
    "directives": "%YAML 1.1\n" * 60_000,
    "comments": "#\n" * 400_000,
    "documents": "---\n" * 200_000,
    "controls": "a: \x01",
    "half a character": b"a: \xc3",
    "utf-16": "a: b".encode("utf-16"),
    "nul": b"\0" * 1000,
    "tabs": "\t" * DEEP,
    "a long key": "k" * 900_000 + ": 1",
}


@pytest.mark.parametrize("name", YAML)
def test_yaml_is_bounded(name):
    data = YAML[name] if isinstance(YAML[name], bytes) else YAML[name].encode()
    started, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    problems = parse(data, "pack.yaml")[1]
    assert problems and len(problems) <= MAX_PROBLEMS + 1
    assert max(len(str(problem)) for problem in problems) < 5000
    assert time.process_time() - started < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEGABYTES * 1024


@pytest.mark.parametrize("text", ["- a\n" * 15_000, "a: {b: c}\n"], ids=["many", "wrong"])
def test_what_all_files_hold_is_bounded(pack, text):
    for number in range(20):
        (pack / f"targets/t{number}.yaml").write_text(text)
    message = refusal(load_pack, pack)
    assert f"more than {MAX_NODES} keys and values" in message or "lacks the key" in message
    assert len(message) < 100_000


CONDITIONS = {
    "parentheses": "(" * 900 + "os.id" + ")" * 901,
    "negations": "not " * 400 + "os.id",
    "alternating": "(not " * 300 + "os.id" + ")" * 300,
    "open": "(" * 1900,
    "long": "os.id == " + "x" * 3000,
    "many": " and ".join(["os.id"] * 1000),
    "dots": "a" + ".a" * 900 + "!",
    "names": "a.a" * 600 + ".",
    "quotes": "os.id == '" * 150,
    "values": "os.id in [" + "a," * 900,
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_conditions_are_bounded(name):
    started = time.process_time()
    with pytest.raises(ConditionError):
        read_condition(CONDITIONS[name])
    assert time.process_time() - started < 3


def test_a_condition_of_the_greatest_depth_can_be_used():
    from guestfix.base.facts import Facts
    from guestfix.pack.when import evaluate, facts_of

    text = "not (" * 10 + "os.id == a" + ")" * 10
    facts = Facts()
    facts.put("os.id", "a")
    assert evaluate(read_condition(text)[0], facts, lambda _: False) is True
    assert facts_of(read_condition(text)[0]) == ["os.id"]


@pytest.mark.parametrize(
    "place",
    ["/../etc/passwd", "/etc/../../x", "/..", "/.", "//etc/x", "/etc//x", "/etc/./x", "/etc/", "/", "etc/x", "",
     "../x", "/a\0b", "/" + "a" * 2000, "/a" * 100, "/*" * 9, "/" + "*a" * 40, "/**" * 20],
)  # fmt: skip
def test_places_that_leave_the_root_or_cost_too_much_are_refused(pack, place):
    assert fault_of(place)
    rule = pack / "fix/fstab/shares/rule.yaml"
    rule.write_text(rule.read_text().replace("in: /etc/fstab", f"in: [{json.dumps(place)}]"))
    refusal(load_pack, pack)


@pytest.mark.parametrize("place", ["/etc/fstab", "/boot/**", "/etc/*/*.conf", "/initrd*", "/..a/x", "/etc/x..y"])
def test_other_places_are_not(place):
    assert fault_of(place) == ""


@pytest.mark.parametrize("pattern", ["/**" * 8 + "/x", "/" + "/".join(["**", "a"] * 8) + "/x", "/" + "*a" * 16 + "b"])
@pytest.mark.parametrize("path", ["/" + "/".join(["a"] * 500), "/" + "a" * 250, "/" + "/".join(["a" * 200] * 20)])
def test_matching_takes_linear_time(pattern, path):
    started = time.process_time()
    assert not path_matches(path, pattern)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("path", "pattern", "matches"),
    [("/a/b/c", "/**", True), ("/a/b/c", "/a/**/c", True), ("/a/c", "/a/**/c", True), ("/a", "/a/**", True),
     ("/a/b/c", "/**/b", False), ("/a/b/c", "/**/b/**", True), ("/a/x/b/y/c", "/a/**/b/**/c", True),
     ("/a/b", "/*", False), ("/a/.b", "/a/*", False), ("/b/a", "/a/**", False), ("/a/b/c", "/**/**/c", True)],
)  # fmt: skip
def test_double_stars_mean_any_number_of_folders(path, pattern, matches):
    assert path_matches(path, pattern) is matches


class Mirrors:
    """A guest whose every folder holds a hundred links to itself."""

    case_insensitive = False

    def stat(self, path, *, follow=True):
        return Stat("dir", 0, 0o755, 0, 0, 0, 0)

    def list(self, path):
        return tuple(f"l{number}" for number in range(100))


def test_links_can_not_multiply_what_a_pattern_matches():
    started = time.process_time()
    with pytest.raises(GuestfixError, match=f"more than {MAX_MATCHES} paths"):
        glob(Mirrors(), "/*/*/*/*/*/*/*/*")
    assert time.process_time() - started < 3


def test_a_pattern_that_matches_too_much_costs_its_rule_alone(pack, case):
    for number in range(30):
        (case / f"in/l{number}").symlink_to(".")
    rule = pack / "fix/fstab/shares/rule.yaml"
    rule.write_text(rule.read_text().replace("  - os.family", "  - exists /*/*/*/*/*/fstab\n  - os.family"))
    outcome = run_case(read_case(case), load_pack(pack))
    assert "was left out: a pattern matches more than" in outcome.text


@pytest.mark.parametrize(
    "text", ["9" * 900_000, "5.0 - " + "9" * 900_000, "1 " * 400_000 + "- 1", "a" * 9999 + "1 - 2"]
)
def test_ranges_are_bounded(text):
    started = time.process_time()
    for read in (lambda: expand(text), lambda: parse_span(text, "plain"), lambda: parse_span(text, "service-pack")):
        try:
            assert read()
        except RangeError as error:
            assert len(str(error)) < 2 * len(text) + 200
    assert time.process_time() - started < 3


def test_versions_are_bounded():
    assert version_key("9" * 100_000) and version_key("1." * 100_000)


def test_a_system_can_not_enumerate_releases_without_end(pack):
    folder = pack / "os/many"
    folder.mkdir()
    releases = ", ".join(f'"{n}.0 - {n}.1000"' for n in range(2000))
    rows = "".join(
        f"  - {{version: '{n}.0 - {n}.9', verdict: supported, source: s, date: 2026-01-01}}\n" for n in range(600)
    )
    (folder / "os.yaml").write_text(
        f"id: many\ntitle: t\nfamily: linux\narch: [x86_64]\nreleases: [{releases}]\nrows:\n{rows}"
    )
    with pytest.raises(PackError) as raised:
        load_pack(pack)
    told = " ".join(problem.what for problem in raised.value.problems)
    assert "at most 400 rows" in told and "at most 2000 releases" in told


def test_rules_that_wait_for_all_others_are_sorted_in_time(pack):
    text = (pack / "fix/fstab/shares/rule.yaml").read_text()
    for number in range(400):
        place = pack / f"fix/many/r{number:03}"
        place.mkdir(parents=True)
        waits = ", ".join(f'"many/r{n:03}"' for n in range(max(0, number - 14), number))
        waits = f'after: ["fstab/*"{", " + waits if waits else ""}]\n'
        (place / "rule.yaml").write_text(text.replace("id: fstab/shares\n", f"id: many/r{number:03}\n{waits}"))
    started = time.process_time()
    assert len(load_pack(pack).rules) == 401
    assert time.process_time() - started < 2 * SECONDS


@pytest.mark.parametrize("number", ["9" * 5000, "-1", "1e3", "٣", "0x10", ""])
def test_numbers_are_bounded(pack, number):
    os_yaml = pack / "os/windows-server/os.yaml"
    text = os_yaml.read_text()
    row = f"  - {{version: any, verdict: supported, min_service_pack: '{number}', source: s, date: 2026-01-01}}\n"
    os_yaml.write_text(text + row)
    assert "must be a whole number" in refusal(load_pack, pack)


@pytest.fixture
def top(tmp_path, pack):
    """A pack on top of the one that came along."""
    root = tmp_path / "top"
    root.mkdir()
    (root / "pack.yaml").write_text("id: top\nversion: '1'\nextends: guestfix\n")
    return root


def costs(function, *args) -> str:
    """Return the error of a call that ends within its bound of time."""
    started = time.process_time()
    with pytest.raises(GuestfixError) as raised:
        function(*args)
    assert time.process_time() - started < SECONDS
    assert len(str(raised.value)) < 500_000
    return str(raised.value)


STEP = "  - {in: /etc/x, op: no.such, args: {}}\n"
RULE_TEXT = "id: x/y\ntitle: t\nwhy: w\nsources: [s]\nsince: 2026-11-29\nconfidence: certain\ndo:\n"
ON_TOP = {
    "disabled without end": ("pack.yaml", "disable: [" + "boot/consol, " * 19_000 + "]\n"),
    "defaults without end": (
        "pack.yaml",
        "policies:\n  - id: nfs\n    default_for: [" + "{target: azur, system: rhell, value: x}, " * 3000 + "]\n",
    ),
    "policies without end": ("pack.yaml", "policies:\n" + "".join(f"  - {{id: p{n}}}\n" for n in range(6000))),
    "steps without end": ("fix/x/y/rule.yaml", RULE_TEXT + STEP * 4000),
    "sets without end": ("pack.yaml", "paths:\n" + "".join(f'  s{n}: ["@t{n}"]\n' for n in range(9000))),
    "keys without end": ("tables/windows-products.yaml", "".join(f"p{n}: {{a: b, c: d}}\n" for n in range(3000))),
    "rows without end": (
        "os/rhel/os.yaml",
        "id: rhel\nextends: rhel\nrows:\n" + "".join(f"  - {{version: '{n}'}}\n" for n in range(6000)),
    ),
    "itself": ("targets/loop.yaml", "id: loop\nextends: loop\n"),
    "a list in a text's place": ("targets/azure.yaml", "id: azure\nextends: [azure]\n"),
    "a mapping in a text's place": ("pack.yaml", "disable: {a: {b: c}}\n"),
}


@pytest.mark.parametrize("name", ON_TOP)
def test_a_pack_on_top_is_bounded_too(top, name):
    place, text = ON_TOP[name]
    (top / place).parent.mkdir(parents=True, exist_ok=True)
    before = (top / place).read_text() if (top / place).exists() else ""
    (top / place).write_text(before + text)
    costs(load_pack, top)


SHAPES = ["pack.yaml", "extends: [a]\n", "extends: {a: b}\n", "id: [x]\n", "- a\n", "a\n", "version: {}\n"]


@pytest.mark.parametrize("what", SHAPES)
def test_a_pack_yaml_of_another_shape_is_told(top, what):
    (top / "pack.yaml").write_text(what)
    costs(load_pack, top)
    costs(load_pack, top, top)


def test_a_report_names_some_of_what_a_pack_changed(top, tmp_path):
    from guestfix import make_plan, open_guest
    from guestfix.report.layout import View
    from guestfix.report.text import render_plan

    (top / "tables").mkdir()
    (top / "tables/antivirus.yaml").write_text("".join(f"P{n}: [s{n}]\n" for n in range(5000)))
    (tmp_path / "guest/etc").mkdir(parents=True)
    plan = make_plan(open_guest(str(tmp_path / "guest")), load_pack(top))
    (line,) = [line for line in render_plan(plan, View(100_000)).splitlines() if line.startswith("  pack ")]
    assert line.endswith("and 4970 more") and len(plan.versions["packs"][1]["changes"]) == 5000


# the cache


@pytest.fixture
def kept(pack, tmp_path):
    load_pack(pack)
    (file,) = (tmp_path / "cache/guestfix").glob("pack-*.json")
    return file


def poison(file: Path) -> None:
    """Change a kept pack as somebody who knows its form would."""
    import hashlib

    body = file.read_bytes().partition(b"\n")[2].replace(b"Disable shares", b"Poisoned pack!")
    file.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)


def test_the_cache_is_this_users_alone(kept):
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700


def test_a_kept_pack_is_used(pack, kept):
    poison(kept)
    assert load_pack(pack).rules[0].title == "Poisoned pack!"  # so that the tests below can fail


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_used(pack, kept, mode):
    poison(kept)
    kept.chmod(mode)
    assert load_pack(pack).rules[0].title == "Disable shares"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_a_folder_that_others_may_write_is_not_used(pack, kept, mode):
    poison(kept)
    kept.parent.chmod(mode)
    assert load_pack(pack).rules[0].title == "Disable shares"


def test_links_and_pipes_are_not_used(pack, kept, tmp_path):
    poison(kept)
    kept.rename(tmp_path / "elsewhere")
    kept.symlink_to(tmp_path / "elsewhere")
    assert load_pack(pack).rules[0].title == "Disable shares"
    kept.unlink()
    os.mkfifo(kept)
    assert load_pack(pack).rules[0].title == "Disable shares"
    shutil.rmtree(kept.parent)
    (tmp_path / "other").mkdir()
    kept.parent.symlink_to(tmp_path / "other")
    assert load_pack(pack).rules[0].title == "Disable shares"
    assert not os.listdir(tmp_path / "other")


def test_another_users_folder_is_neither_read_nor_written(pack, kept, monkeypatch):
    poison(kept)
    before = kept.read_bytes()
    user = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert load_pack(pack).rules[0].title == "Disable shares"
    assert kept.read_bytes() == before


@pytest.mark.parametrize("data", [b"", b"\n", b"x\n{}", b"[" * 100_000, b"0" * 64 + b"\n{}"])
def test_a_damaged_file_is_not_used(pack, kept, data):
    kept.write_bytes(data)
    assert load_pack(pack).rules[0].title == "Disable shares"


def test_a_deep_document_with_a_true_digest_is_no_reason_to_fail(kept):
    import hashlib

    body = b"[" * 100_000 + b"]" * 100_000
    kept.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    assert cache.read(kept.stem) is None


def test_a_relative_cache_folder_is_ignored(pack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    load_pack(pack)
    assert not (tmp_path / "relative").exists()
    assert list((tmp_path / "home/.cache/guestfix").glob("pack-*"))


def test_errors_are_not_multiplied(pack):
    (pack / "targets/t.yaml").write_text("".join(f"k{number}: v\n" for number in range(9000)))
    message = refusal(load_pack, pack)
    assert len(message) < 200_000 and "and " in message and "more" in message


def test_the_pack_that_came_along_is_far_from_every_bound():
    from guestfix.pack.files import default_pack_path, pack_files

    files = pack_files(default_pack_path())
    assert len(files) < MAX_FILES / 3
    assert sum(map(len, files.values())) < BOUNDS.total / 4
    nodes = [parse(data, name)[0] for name, data in files.items()]
    assert sum(node.count() for node in nodes if node) < MAX_NODES / 4
