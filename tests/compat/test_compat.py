"""The compatibility table: how it is read, what it refuses to load, what it says beyond the reference rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.backends.directory import DirectoryGuest
from guestfix.base.errors import PackError
from guestfix.base.facts import Facts
from guestfix.base.guest import Disk, Disks, Volume
from guestfix.cli import run
from guestfix.compat import judge, rows_of, table_version
from guestfix.compat.diff import compare
from guestfix.compat.kernel import has_flavour, in_series
from guestfix.pack.cache import load_pack
from guestfix.pack.files import default_pack_path, pack_files
from guestfix.pack.load import compile_packs
from guestfix.pack.ranges import SCHEMES, RangeError, expand, key_of, parse_span
from guestfix.pack.systems import load_systems
from guestfix.pack.yamlpos import parse
from guestfix.plan.planner import make_plan
from tests.build.systems import SYSTEMS, verdict_of
from tests.build.tree import build

TABLE = b"version: 1.0\ndate: 2026-01-01\ntitle: t\n"


def system(rows: str, releases: str = '["1", "2", "3"]', scheme: str = "plain") -> bytes:
    head = f"id: x\ntitle: X\nfamily: linux\nscheme: {scheme}\narch: [x86_64]\nreleases: {releases}\nrows:\n"
    return (head + rows).encode()


def row(version: str, verdict: str = "supported", *more: str) -> str:
    given = {"supported": [], "deprecated": ["deprecated: 2026-02-01"], "unlisted": ["confidence: likely"]}
    lines = [
        f'version: "{version}"',
        f"verdict: {verdict}",
        *given.get(verdict, []),
        "source: s",
        "date: 2026-01-01",
        *more,
    ]
    return "  - " + "\n    ".join(lines) + "\n"


def load(data: bytes) -> tuple[Any, list[str]]:
    nodes = {}
    for name, text in {"compat.yaml": TABLE, "os/x/os.yaml": data}.items():
        node, problems = parse(text, name)
        assert node is not None and not problems, problems
        nodes[name] = node
    systems, found = load_systems(nodes)
    return systems, [str(one) for one in found]


# versions and ranges

ORDERED = [
    ("plain", ["8", "8.0", "8.9", "8.10", "9", "10"]),
    ("plain", ["12", "12.2", "12.4", "12.10", "13.04"]),
    ("plain", ["6.0.0", "6.0.8", "6.0.10", "7.0"]),
    ("service-pack", ["11", "11 SP1", "11 SP4", "12", "12 SP2", "12 SP10", "15", "15 SP1", "16.0", "16.1"]),
    ("amazon", ["2011.09", "2016.09", "2018.03", "2", "2023"]),
    ("leap", ["42.1", "42.3", "15.0", "15.6", "16.0"]),
]


@pytest.mark.parametrize(("scheme", "versions"), ORDERED)
def test_order(scheme: str, versions: list[str]) -> None:
    keys = [key_of(one, scheme) for one in versions]
    assert keys == sorted(keys, key=lambda key: key or ())
    assert len(set(keys)) == len(keys)


def test_service_packs_are_written_in_many_ways() -> None:
    assert len({key_of(one, "service-pack") for one in ("15 SP4", "15-SP4", "15.4", "15 sp4")}) == 1
    assert key_of("12", "service-pack") == key_of("12.0", "service-pack")


HOLDS = [
    # range, scheme, inside, outside
    ("5", "plain", ["5", "5.0", "5.11"], ["4.9", "6", "50"]),
    ("12.2", "plain", ["12.2", "12.2.1"], ["12", "12.1", "12.3", "12.20"]),
    ("24.04", "plain", ["24.04", "24.04.1"], ["24.10", "22.04"]),
    ("8.0 - 8.9", "plain", ["8.0", "8.9", "8.9.1"], ["8.10", "7.9", "9.0"]),
    ("8.10 - 8.x", "plain", ["8.10", "8.11"], ["8.9", "9", "9.0"]),
    ("6.0.0 - 6.0.8", "plain", ["6.0", "6.0.0", "6.0.8"], ["6.0.9", "5.9"]),
    ("15 SP2 - SP3", "service-pack", ["15 SP2", "15.3"], ["15 SP1", "15 SP4", "15", "16"]),
    ("15 - 15 SP1", "service-pack", ["15", "15 SP1"], ["12 SP5", "15 SP2"]),
    ("25.04 and later", "plain", ["25.04", "25.10", "99"], ["24.10"]),
    ("any", "plain", ["1", "20260101"], []),
]


@pytest.mark.parametrize(("text", "scheme", "inside", "outside"), HOLDS)
def test_ranges(text: str, scheme: str, inside: list[str], outside: list[str]) -> None:
    span = parse_span(text, scheme)
    assert [one for one in inside if not span.holds(key_of(one, scheme) or ())] == []
    assert [one for one in outside if span.holds(key_of(one, scheme) or ())] == []


@pytest.mark.parametrize("text", ["", "x", "9 - 8", " - 3", "1 - ", "and later", "1" * 70])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(RangeError):
        parse_span(text, "plain")


def test_releases_are_enumerated() -> None:
    assert expand("8.8 - 8.10") == ["8.8", "8.9", "8.10"]
    assert expand("15 SP1 - 15 SP3") == ["15 SP1", "15 SP2", "15 SP3"]
    for text in ("8.9 - 9.1", "9 - 8", "1 - 99999"):
        with pytest.raises(RangeError):
            expand(text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=90), st.sampled_from([*SCHEMES, "listed"]))
def test_any_version_has_a_place(text: str, scheme: str) -> None:
    key = key_of(text, scheme, ["1", "2"])
    assert key is None or key == key_of(text, scheme, ["1", "2"])
    try:
        parse_span(text, scheme, ["1", "2"])
        expand(text)
    except RangeError:
        pass


SERIES = [
    ("6.1.55-75.amzn2023.x86_64", "6.1", True),
    ("6.12.0-1", "6.1", False),
    ("3.10.0-1160.el7.x86_64", "3.10.0", True),
    ("2.6.32-71.29.1.el6", "2.6.32-71", True),
    ("2.6.32-710.el6", "2.6.32-71", False),
    ("3.11.0-12-generic", "3.11", True),
    ("6.1", "6.1", True),
]


@pytest.mark.parametrize(("release", "series", "inside"), SERIES)
def test_kernel_series(release: str, series: str, inside: bool) -> None:
    assert in_series(release, series) is inside


OL = next(one for one in SYSTEMS if one.id == "ol")
FLAVOURS = [
    ("4.18.0-513.el8.x86_64", "RHCK", True),
    ("5.15.0-1.el8uek.x86_64", "RHCK", False),
    ("5.15.0-1.el8uek.x86_64", "UEK", True),
    ("5.15.0-1.el8uek.x86_64", "el8uek", True),
    ("5.15.0-1.el9uek.x86_64", "el8uek", False),
    ("3.8.13-16.el6uek.x86_64", "UEK", True),
]


@pytest.mark.parametrize(("release", "flavour", "has"), FLAVOURS)
def test_oracles_two_kernels(release: str, flavour: str, has: bool) -> None:
    assert has_flavour(release, flavour, OL.flavours) is has


PRINTED = [
    ("ol 5 names a suffix only", "5.10", "2.6.32-400.36.1.el5uek", "deprecated"),
    ("and its own kernel has another", "5.10", "2.6.18-398.el5", "unsupported"),
    ("what the guide printed", "6.4", "2.6.39-400.17.1.el6", "deprecated"),
    ("what the system ships", "6.4", "2.6.39-400.17.1.el6uek", "deprecated"),
    ("a series that has no such flavour", "6.4", "2.6.32-358.el6uek", "unsupported"),
    ("left out of the guide", "9.6", "5.14.0-570.12.1.el9_6", "supported"),
]


@pytest.mark.parametrize(("why", "version", "release", "status"), PRINTED)
def test_what_a_source_misprints(tmp_path: Path, why: str, version: str, release: str, status: str) -> None:
    assert verdict_of(tmp_path, "ol", version, release).status == status


# load errors, each at its place

SURE = row("1 - 3", "unlisted").replace("confidence: likely", "note: n")
SINCE = row("1 - 3", "deprecated").replace("deprecated: 2026-02-01", "note: n")
UNDATED = row("1 - 3").replace("date: 2026-01-01", "note: s")
NEEDLESS = row("1 - 3", "supported", "confidence: likely")
MISTAKES = [
    ("a gap", system(row("1") + row("3")), "os/x/os.yaml:12:14", "a gap: no row covers 2"),
    ("a gap at the end", system(row("1") + row("2")), "os/x/os.yaml:12:14", "no row covers 3, which comes after"),
    ("an overlap", system(row("1 - 2") + row("2 - 3")), "os/x/os.yaml:12:14", "an overlap: '2 - 3'"),
    ("a point inside a whole", system(row("1 - 3") + row("2.5"), '["1", "2", "2.5", "3"]'), ":12:14", "an overlap"),
    ("a tie", system(row("1 - 3") + row("1 - 3")), "os/x/os.yaml:12:14", "a tie: '1 - 3' has a row already, at line 8"),
    ("order", system(row("2 - 3") + row("1")), "os/x/os.yaml:12:14", "out of order"),
    ("an idle row", system(row("1 - 3") + row("4")), "os/x/os.yaml:12:14", "no known release lies in '4'"),
    ("no source", system(row("1 - 3").replace("source: s", "note: s")), "os/x/os.yaml:8:5", "lacks the key 'source'"),
    ("no date", system(UNDATED), "os/x/os.yaml:8:5", "lacks the key 'date'"),
    ("a date in words", system(row("1 - 3").replace("2026-01-01", "May")), "os/x/os.yaml:11:11", "must be a date"),
    ("a verdict unheard of", system(row("1 - 3", "fine")), "os/x/os.yaml:9:14", "can't be 'fine'"),
    ("unlisted, but how sure", system(SURE), ":8:5", "'confidence'"),
    ("sure without need", system(NEEDLESS), ":12:5", "only a row with the verdict unlisted"),
    ("deprecated, but since when", system(SINCE), ":8:5", "'deprecated'"),
    ("no version at all", system(row("none - 3")), "os/x/os.yaml:8:14", "'none' is no version"),
    ("backwards", system(row("3 - 1")), "os/x/os.yaml:8:14", "ends before it begins"),
    ("releases", system(row("1 - 3"), '["1", "1.9 - 2.1", "3"]'), "os/x/os.yaml:6:17", "enumerates nothing"),
    ("an unknown key", system(row("1 - 3", "supported", "kernel: [1]")), "os/x/os.yaml:12:5", "no key 'kernel'"),
    ("kernels are a list", system(row("1 - 3", "supported", "kernels: 1")), "os/x/os.yaml:12:14", "must be a list"),
    ("half a kernel", system(row("1 - 3", "supported", "kernels: [{series: 1}]")), ":12:15", "lacks the key 'flavour'"),
    ("listed has no ranges", system(row("1 - 3"), scheme="listed"), "os/x/os.yaml:8:14", "one row for each version"),
    ("listed has no strangers", system(row("9"), scheme="listed"), "os/x/os.yaml:8:14", "not among the releases"),
]  # fmt: skip


@pytest.mark.parametrize(("title", "data", "place", "says"), MISTAKES, ids=[one[0] for one in MISTAKES])
def test_mistakes_are_found_at_their_place(title: str, data: bytes, place: str, says: str) -> None:
    problems = load(data)[1]
    assert [one for one in problems if f"{place}:" in one and says in one], problems


def test_a_table_without_mistakes_loads() -> None:
    systems, problems = load(system(row("1", "deprecated") + row("2", "unlisted") + row("3")))
    assert problems == []
    assert [row["verdict"] for row in systems[0].rows] == ["deprecated", "unlisted", "supported"]


def test_variants_have_rows_of_their_own() -> None:
    systems, problems = load(system(row("1 - 3") + row("2", "unlisted", "variant: stream")))
    assert problems == []
    facts = facts_of("x", "2")
    assert judge(systems, facts).status == "supported"
    facts.put("os.variant", "stream")
    assert judge(systems, facts).status == "unlisted"


def test_all_mistakes_are_told_at_once() -> None:
    files = pack_files(default_pack_path())
    files["os/rhel/os.yaml"] = files["os/rhel/os.yaml"].replace(b'"8.10 - 8.x"', b'"8.11 - 8.x"')
    files["os/sles/os.yaml"] = files["os/sles/os.yaml"].replace(b"verdict: supported", b"verdict: good", 1)
    with pytest.raises(PackError) as caught:
        compile_packs(["rules"], [files], built_in=False)
    said = str(caught.value)
    assert "rules/os/rhel/os.yaml" in said and "no row covers 8.10" in said
    assert "rules/os/sles/os.yaml" in said and "can't be 'good'" in said


OLD_ROW = row("1 - 2", "deprecated", "kernels: [{series: 1, flavour: x}, 2]", "except: [3]")
LINES = system(OLD_ROW + row("3")).split(b"\n")
WORDS = [
    *(b"", b"x", b"[", b"]", b"{}", b"[[1]]", b"- ", b'"1 - 3"', b"rows:", b"any"),
    *(b"version: {a: b}", b"kernels: {a: [b]}"),
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(LINES) - 1), st.sampled_from(WORDS), st.booleans()), max_size=4))
def test_any_mistake_is_only_a_problem(edits: list[tuple[int, bytes, bool]]) -> None:
    lines = list(LINES)
    for at, word, whole in edits:
        indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
        key = lines[at].partition(b":")[0] + b": "
        lines[at] = indent + word if whole else key + word
    nodes = {}
    for name, text in {"compat.yaml": TABLE, "os/x/os.yaml": b"\n".join(lines)}.items():
        node, problems = parse(text, name)
        if node is None:
            return
        nodes[name] = node
    systems, found = load_systems(nodes)
    if not found and not problems:
        judge(systems, facts_of("x", "2"))
    assert all(one.where.startswith("os/x/os.yaml:") for one in found)


def test_systems_need_a_table() -> None:
    node, _ = parse(system(row("1 - 3")), "os/x/os.yaml")
    assert node is not None
    assert "no compat.yaml" in str(load_systems({"os/x/os.yaml": node})[1][0])


# the table that ships


def test_every_row_says_where_it_comes_from() -> None:
    for one in rows_of(SYSTEMS):
        assert one["source"] and one["date"] and one["table"], one
        assert one["verdict"] != "unlisted" or one["confidence"]
        assert "editions" in one if one["family"] == "windows" else "kernels" in one


BEYOND = [
    # id, version, kernel, status
    ("almalinux", "9.4", "5.14.0-427.el9.x86_64", "unlisted"),
    ("almalinux", "10.0", "", "unlisted"),
    ("rocky", "8.10", "4.18.0-553.el8.x86_64", "unlisted"),
    ("opensuse-leap", "15.6", "", "unlisted"),
    ("opensuse-leap", "42.3", "", "unlisted"),
    ("opensuse-tumbleweed", "20260101", "", "unlisted"),
    ("debian", "8.11", "", "unlisted"),
    ("debian", "9.13", "", "unlisted"),
    ("debian", "12.12", "6.1.0-40-amd64", "unlisted"),
    ("debian", "13.1", "6.12.43+deb13-amd64", "unlisted"),
    ("debian", "14.0", "", "unlisted"),
    ("ubuntu", "25.04", "6.14.0-15-generic", "unlisted"),
    ("ubuntu", "26.10", "", "unlisted"),
    ("fedora", "40", "", "unlisted"),
    ("fedora", "99", "", "unlisted"),
    ("sles", "15 SP7", "6.4.0-1-default", "unlisted"),
    ("sles", "16.0", "", "unlisted"),
    ("amzn", "2018.03", "4.14.33-51.34.amzn1.x86_64", "unlisted"),
    ("rhel", "8.10", "4.18.0-553.el8_10.x86_64", "unlisted"),
    ("rhel", "9.7", "5.14.0-600.el9.x86_64", "unlisted"),
    ("rhel", "11.0", "", "unlisted"),
    ("ol", "8.10", "5.15.0-1.el8uek.x86_64", "unlisted"),
    ("centos", "10", "", "unlisted"),
    ("rhel", "4.8", "", "unsupported"),
    ("debian", "5.0", "", "unsupported"),
    ("sles", "10 SP4", "", "unsupported"),
    ("rhel", "6.0", "2.6.32-71.29.1.el6.x86_64", "unsupported"),
    ("rhel", "6.1", "2.6.32-131.0.15.el6.x86_64", "supported"),
    ("ubuntu", "24.04.1", "6.8.0-45-generic", "supported"),
    ("unheard-of", "2.15", "", "unknown"),
]


@pytest.mark.parametrize(("ident", "version", "kernel", "status"), BEYOND)
def test_beyond_the_reference(tmp_path: Path, ident: str, version: str, kernel: str, status: str) -> None:
    verdict = verdict_of(tmp_path, ident, version, *([kernel] if kernel else []))
    assert verdict.status == status, verdict.summary
    assert bool(verdict.findings) is (status != "supported"), "a degraded verdict is never silent"


def facts_of(ident: str | None, version: str | None = None, family: str = "linux", **more: Any) -> Facts:
    facts = Facts()
    facts.put("os.family", family)
    for name, value in {"os.id": ident, "os.version": version, **more}.items():
        if value is not None:
            facts.put(name.replace("__", "."), value)
    return facts


def test_a_derived_distribution_is_judged_by_its_relative() -> None:
    facts = facts_of("sangoma", "7")
    facts.put("os.id_like", ["centos", "rhel"])
    verdict = judge(SYSTEMS, facts)
    assert verdict.status == "unlisted"
    assert "related to CentOS" in verdict.summary


def test_a_family_stands_for_its_system() -> None:
    facts = facts_of("sled", "15 SP4")
    facts.put("os.id_like", ["suse"])
    assert "related to SUSE Linux Enterprise Server" in judge(SYSTEMS, facts).summary


@pytest.mark.parametrize(
    ("release", "code"),
    [
        ("ID=unheard-of\nVERSION_ID=2.15\n", "GF-OS-UNKNOWN"),
        ("", "GF-OS-UNKNOWN"),
        ('ID=ubuntu\nVERSION_ID="27.04"\n', "GF-OS-UNLISTED"),
        ('ID=ubuntu\nVERSION_ID="22.04"\n', None),
    ],
)
def test_fixes_are_as_sure_on_every_system(tmp_path: Path, release: str, code: str | None) -> None:
    files = {"etc/fstab": "/dev/sda1 / ext4 defaults 0 1\n", "etc/passwd": "root:x:0:0::/root:/bin/sh\n"}
    build(tmp_path, {**files, **({"etc/os-release": release} if release else {})})
    disks = Disks((Disk("/dev/sda", partitions=(Volume("/dev/sda1", fstype="ext4", uuid="1-2"),)),))
    plan = make_plan(DirectoryGuest(str(tmp_path), disks), load_pack())
    decision = next(one for one in plan.decisions if one.rule == "fstab/stable-device-names")
    assert (decision.outcome, decision.confidence) == ("applied", "certain")
    assert code is None or code in [finding.code for finding in plan.findings]


def test_centos_stream_is_not_centos_linux() -> None:
    facts = facts_of("centos", "8")
    assert "minor version" in judge(SYSTEMS, facts).summary
    facts.put("os.variant", "stream")
    verdict = judge(SYSTEMS, facts)
    assert verdict.row is not None and verdict.row["variant"] == "stream"


def test_an_imprecise_version_counts_where_all_rows_agree() -> None:
    verdict = judge(SYSTEMS, facts_of("centos", "7"))
    assert (verdict.status, verdict.confidence) == ("supported", "confident")
    assert judge(SYSTEMS, facts_of("debian", "12")).status in ("supported", "unlisted")
    assert judge(SYSTEMS, facts_of("debian")).status == "unknown"


def test_unknown_systems_degrade_and_say_so() -> None:
    verdict = judge(SYSTEMS, facts_of(None))
    assert verdict.status == "unknown"
    assert [one.code for one in verdict.findings] == ["GF-OS-UNKNOWN"]


def test_a_pack_without_a_table_knows_nothing() -> None:
    assert judge((), facts_of("rhel", "8.9")).status == "unknown"


@pytest.mark.parametrize(("machine", "code"), [(3, "GF-ARCH-32BIT"), (183, "GF-ARCH-UNSUPPORTED")])
def test_only_64_bit_x86_linux(tmp_path: Path, machine: int, code: str) -> None:
    verdict = verdict_of(tmp_path, "debian", "11.3", machine=machine)
    assert verdict.status == "unsupported"
    (finding,) = verdict.findings
    assert (finding.code, finding.severity) == (code, "blocker")
    assert finding.evidence[0].path == "/bin/sh"


def test_the_default_kernel_decides_and_the_remedy_names_a_better_one(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, "rhel", "8.9", "4.18.0-513.el8.x86_64", "6.5.1-1.el8.elrepo.x86_64")
    assert [(one.release, one.status, one.default) for one in verdict.kernels] == [
        ("4.18.0-513.el8.x86_64", "supported", False),
        ("6.5.1-1.el8.elrepo.x86_64", "unsupported", True),
    ]
    finding = next(one for one in verdict.findings if one.code == "GF-KERNEL-UNSUPPORTED")
    assert "make 4.18.0-513.el8.x86_64 the default" in finding.remedy


WINDOWS = [
    # os.id, more facts, status, code
    ("windows-server-2003", {"os.service_pack": 0}, "unsupported", "GF-OS-UNSUPPORTED"),
    ("windows-server-2003", {"os.service_pack": 2}, "deprecated", "GF-OS-DEPRECATED"),
    ("windows-server-2019", {"os.edition": "Datacenter"}, "supported", None),
    ("windows-server-2019", {"os.edition": "Essentials"}, "unlisted", "GF-OS-UNLISTED"),
    ("windows-server-2028", {}, "unlisted", "GF-OS-UNLISTED"),
    ("windows-server-20h2", {}, "unlisted", "GF-OS-UNLISTED"),
    ("windows-vista", {}, "unsupported", "GF-OS-UNSUPPORTED"),
    ("windows-2000-server", {}, "unsupported", "GF-OS-UNSUPPORTED"),
    ("windows-12", {}, "unlisted", "GF-OS-UNLISTED"),
]


@pytest.mark.parametrize(("ident", "more", "status", "code"), WINDOWS)
def test_windows(ident: str, more: dict[str, Any], status: str, code: str | None) -> None:
    verdict = judge(SYSTEMS, facts_of(ident, "10.0.17763", "windows", **more))
    assert verdict.status == status
    assert code is None or code in [one.code for one in verdict.findings]


def test_every_id_that_the_registry_gives_has_a_row() -> None:
    from guestfix.detect.windows import os as windows_os

    names = [*windows_os._SERVERS.values(), *windows_os._CLIENTS.values(), "windows-10", "windows-11"]
    names += [name for _, name in windows_os._SERVER_BUILDS]
    for name in names:
        row = judge(SYSTEMS, facts_of(name, "10.0", "windows")).row
        assert row is not None and row["id"] == name, name
        editions = {edition for _, edition in windows_os._EDITIONS}
        assert set(row.get("editions", ())) <= editions, "an edition that the registry never gives"


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["rhel", "sles", "amzn", "windows", "windows-server-x", "debian", "\x00", "opensuse-tumbleweed"]),
    st.one_of(st.none(), st.text(max_size=200)),
    st.text(max_size=60),
)
def test_judging_survives_any_text(ident: str, version: str | None, kernel: str) -> None:
    facts = facts_of(ident, version)
    facts.put("kernel.default", kernel)
    facts.put("kernel.releases", [kernel, "1"])
    verdict = judge(SYSTEMS, facts)
    assert json.dumps(verdict.as_json())


# the command


def test_list_is_one_array_with_an_object_a_row(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["compat", "list", "--format", "json"]) == 0
    rows = json.loads(capfdbinary.readouterr().out)
    assert len(rows) == len(rows_of(SYSTEMS))
    for one in rows:
        assert {"id", "version", "verdict", "source", "date"} <= set(one)
    assert sum(one["family"] == "windows" and one["verdict"] in ("supported", "deprecated") for one in rows) == 17


def test_list_as_text_can_be_narrowed(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["compat", "list", "--system", "rhel", "--verdict", "deprecated"]) == 0
    text = capfdbinary.readouterr().out.decode()
    assert table_version(SYSTEMS) in text
    assert "since 2026-02-01" in text and "8.0 - 8.9" not in text and "debian" not in text


def test_show_judges_what_is_named(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["compat", "show", "rhel", "8.10", "4.18.0-553.el8", "--format", "json"]) == 0
    shown = json.loads(capfdbinary.readouterr().out)
    assert (shown["status"], shown["row"]["version"]) == ("unlisted", "8.10 - 8.x")
    assert run(["compat", "show", "windows-server-2019"]) == 0
    assert capfdbinary.readouterr().out.startswith(b"supported: Windows Server 2019")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["list", "--system", "OPENEULER"], "openEuler  24.03"),
        (["list", "--system", "oracle"], "Oracle"),
        (["show", "openeuler", "22.03"], "openEuler 22.03 is known"),
        (["show", "suse", "15 SP3"], "suse 15 SP3 is not in the table"),
        (["show", "sled", "15 SP3"], "SUSE Linux Enterprise Desktop 15 SP3 is not in the table; it is related to"),
    ],
)
def test_a_system_is_named_in_any_case_or_by_an_alias(
    argv: list[str], says: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(["compat", *argv]) == 0
    assert says.lower() in capfdbinary.readouterr().out.decode().lower()


def test_diff_of_a_folder_and_a_saved_list(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    rows = rows_of(SYSTEMS)
    assert rows[0]["version"] != rows[1]["version"]
    changed = [{**rows[1], "verdict": "supported", "table": "2027.1"}, *rows[2:], {**rows[0], "version": "99"}]
    saved = tmp_path / "new.json"
    saved.write_text(json.dumps(changed))
    pack = str(default_pack_path())
    assert run(["compat", "diff", pack, str(saved)]) == 1
    text = capfdbinary.readouterr().out.decode()
    assert f"{table_version(SYSTEMS)} -> 2027.1" in text
    assert f"- {rows[0]['id']} {rows[0]['version']}:" in text and f"+ {rows[0]['id']} 99:" in text
    assert f"~ {rows[1]['id']} {rows[1]['version']}\n    verdict: unlisted -> supported" in text
    assert run(["compat", "diff", pack, str(saved), "--format", "json"]) == 1
    assert len(json.loads(capfdbinary.readouterr().out)["changed"]) == 1
    assert run(["compat", "diff", pack, pack]) == 0


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"id": "x"}]', "nonsense"])
def test_diff_refuses_what_is_no_table(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], content: str) -> None:
    saved = tmp_path / "x.json"
    saved.write_text(content)
    assert run(["compat", "diff", str(saved), str(saved)]) == 2
    assert b"neither a rule pack's folder nor a saved table" in capfdbinary.readouterr().err


@pytest.mark.parametrize("argv", [[], ["list", "--system", "no"], ["show"], ["diff", "x"], ["list", "--verdict", "x"]])
def test_usage(argv: list[str], capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["compat", *argv]) == 64
    assert capfdbinary.readouterr().err


def test_the_same_tables_do_not_differ() -> None:
    rows = rows_of(SYSTEMS)
    assert not compare(rows, list(reversed(rows)))


# whose opinion it is

REFUSED = [
    ("ubuntu", "22.04", "6.8.0-40-generic", "GF-KERNEL-UNSUPPORTED"),
    ("ol", "8.9", "5.4.17-2136.el8uek.x86_64", "GF-KERNEL-UNSUPPORTED"),
    ("fedora", "39", "6.11.9-100.fc39.x86_64", "GF-KERNEL-UNSUPPORTED"),
    ("sles", "10 SP4", "", "GF-OS-UNSUPPORTED"),
]
WEIGHTS = [
    ({}, "blocker"),
    ({"target__id": "kvm-virtio", "target__owner": ""}, "info"),
    ({"target__id": "kvm-virtio", "target__owner": "", "policy__compat": "strict"}, "info"),
    ({"target__id": "aws-nitro", "target__owner": "aws", "policy__compat": "note"}, "warning"),
    ({"target__id": "aws-nitro", "target__owner": "aws", "policy__compat": "strict"}, "blocker"),
]


@pytest.mark.parametrize(("ident", "version", "kernel", "code"), REFUSED)
@pytest.mark.parametrize(("target", "severity"), WEIGHTS)
def test_a_list_counts_for_targets_of_its_owner(ident, version, kernel, code, target, severity) -> None:
    more = {"kernel__default": kernel, "kernel__releases": [kernel]} if kernel else {}
    verdict = judge(SYSTEMS, facts_of(ident, version, **more, **target))
    assert [one.severity for one in verdict.findings if one.code == code] == [severity]
    assert verdict.owner == "aws" and verdict.speaks is (severity != "info") and verdict.as_json()["owner"] == "aws"


@pytest.mark.parametrize(("target", "severity"), WEIGHTS)
def test_another_processor_is_the_owners_opinion_too(target, severity) -> None:
    """Whether the target has such a processor is another question, and GF-TARGET-ARCH the answer."""
    verdict = judge(SYSTEMS, facts_of("debian", "12.4", os__arch="aarch64", **target))
    assert [(one.code, one.severity) for one in verdict.findings] == [("GF-ARCH-UNSUPPORTED", severity)]


def test_a_point_release_of_a_listed_system_is_a_note() -> None:
    nitro = {"target__id": "aws-nitro", "target__owner": "aws"}
    verdict = judge(SYSTEMS, facts_of("debian", "12.12", **nitro))
    assert [(one.code, one.severity) for one in verdict.findings] == [("GF-OS-UNLISTED", "info")]


@pytest.mark.parametrize(
    ("told", "status", "words"),
    [
        ({"os__build": 20348, "os__edition": "Standard"}, "supported", ""),
        ({"os__build": 20349, "os__edition": "Standard"}, "unlisted", "build 20349"),
        ({"os__build": 20348, "windows__edition_id": "ServerOdd"}, "unlisted", "ServerOdd"),
        ({"os__build": 20348}, "supported", ""),
    ],
)
def test_builds_and_editions_that_the_table_does_not_have(told: dict, status: str, words: str) -> None:
    facts = Facts()
    known = {
        "os__id": "windows-server-2022",
        "os__family": "windows",
        "os__version": "10.0.20348",
        "os__arch": "x86_64",
    }
    for name, value in {**known, **told}.items():
        facts.put(name.replace("__", "."), value)
    verdict = judge(load_pack().systems, facts)
    assert verdict.status == status and words in verdict.summary
