"""list, explain and schema: what they print comes from the tables and the pack, and nothing is left out."""

import json

import jsonschema
import pytest
import yaml

from guestfix.actions import ACTIONS
from guestfix.base.catalog.facts import FACTS
from guestfix.base.catalog.findings import FINDINGS, RENAMED
from guestfix.cli import run
from guestfix.editors import OPS
from guestfix.pack.cache import load_pack
from guestfix.pack.operations import operations
from guestfix.report.entries import KINDS, entries
from guestfix.report.schemas import SCHEMAS, schema
from tests.build import reference
from tests.build.packs import REAL

PACK = load_pack()
NAMES = {
    "facts": {*FACTS, *(f"policy.{name}" for name in PACK.policies)},
    "findings": set(FINDINGS),
    "ops": {*OPS, *ACTIONS},
    "rules": {rule.id for rule in PACK.rules},
    "targets": set(PACK.targets),
    "policies": set(PACK.policies),
    "systems": {one.id for one in PACK.systems},
}


@pytest.fixture
def ran(capfdbinary):
    """Run a command; return its exit status, output and messages."""

    def call(*argv):
        status = run(argv)
        out, err = capfdbinary.readouterr()
        return status, out.decode(), err.decode()

    return call


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_has_everything_in_each_form(ran, kind, monkeypatch):
    status, text, _ = ran("list", kind, "--format", "names")
    names = text.splitlines()
    assert status == 0 and set(names) == NAMES[kind] and len(names) == len(NAMES[kind])
    status, document, _ = ran("list", kind, "--format", "json")
    rows = json.loads(document)[kind]
    assert status == 0 and [row["name"] for row in rows] == names
    assert all(row["says"] and row["to_do"] for row in rows)
    monkeypatch.setenv("COLUMNS", "1000")
    status, text, _ = ran("list", kind)
    head, *lines = text.splitlines()
    assert status == 0 and head.startswith("name ") and [line.split()[0] for line in lines] == names
    assert all(row["says"] in line for row, line in zip(rows, lines, strict=True))


@pytest.mark.parametrize("columns", ["40", "60", "80", "200"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_table_keeps_to_the_width_and_cuts_nothing(ran, kind, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    text = ran("list", kind)[1]
    long = {word for line in text.splitlines() for word in line.split() if len(word) > int(columns) // 5}
    assert [line for line in text.splitlines() if len(line) > int(columns) and not long & set(line.split())] == []
    words = " ".join(text.split())
    assert all(name in words for name in NAMES[kind])
    said = [row["says"] for row in json.loads(ran("list", kind, "--format", "json")[1])[kind]]
    assert {word for one in said for word in one.split()} <= set(words.split())


@pytest.mark.parametrize(
    ("kind", "words", "wanted"),
    [
        ("findings", ["GF-BOOT-D*"], {name for name in FINDINGS if name.startswith("GF-BOOT-D")}),
        ("findings", ["gf-boot-[d]*"], {name for name in FINDINGS if name.startswith("GF-BOOT-D")}),
        ("targets", ["nvme"], {"aws-nitro", "azure-nvme", "gce-nvme"}),
        ("targets", ["NVMe", "azure"], {"azure-nvme"}),
        ("ops", ["action", "windows.*rdp"], {"windows.allow_rdp"}),
        ("policies", ["policy"], set()),
    ],
)
def test_a_list_is_filtered_by_text_and_pattern(ran, kind, words, wanted):
    status, text, message = ran("list", kind, *words, "--format", "names")
    assert set(text.split()) == wanted and status == (0 if wanted else 64)
    assert wanted or f"none of {kind} fits: {' '.join(words)}" in message


def test_a_filter_that_fits_nothing_gets_the_nearest_name(ran):
    status, out, message = ran("list", "rules", "fstab/missing-volumez")
    assert (status, out) == (64, "") and "did you mean fstab/missing-volumes?" in message


def test_a_pattern_explains_all_that_it_fits(ran):
    status, text, _ = ran("explain", "GF-BOOT-DEFAULT-*", "os.family", "--format", "json")
    names = [one["name"] for one in json.loads(text)["entries"]]
    assert status == 0 and names == [*(one for one in FINDINGS if one.startswith("GF-BOOT-DEFAULT-")), "os.family"]
    assert ran("explain", "GF-NOTHING-*")[0] == 64


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_an_explanation_keeps_to_the_width(ran, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    for name in ("boot/default-entry", "kvm-virtio", "rhel", "os.family", "GF-KERNEL-XEN"):
        for line in ran("explain", name)[1].splitlines():
            assert len(line) <= int(columns) or max(map(len, line.split())) > int(columns) - 20, line


@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_explained(ran, kind):
    for name in sorted(NAMES[kind])[:: max(1, len(NAMES[kind]) // 4)]:
        status, text, _ = ran("explain", name)
        assert status == 0 and text.startswith(f"{name}: a") and "\n  to do" in text, name
        status, document, _ = ran("explain", name, "--format=json")
        assert status == 0 and name in [one["name"] for one in json.loads(document)["entries"]]


def test_an_explanation_says_what_why_source_and_what_to_do(ran):
    _, text, _ = ran("explain", "fstab/missing-volumes")
    assert all(f"\n  {label} " in text for label in ("why", "source", "since", "when", "does", "changes only", "to do"))
    _, text, _ = ran("explain", "GF-KERNEL-XEN")
    assert all(part in text for part in ("boot/default-entry", "--accept GF-KERNEL-XEN", "blocker, warning"))
    _, text, _ = ran("explain", "os.family")
    assert "linux, windows, freebsd" in text and "system.os" in text


def test_a_name_in_other_letters_is_found(ran):
    assert ran("explain", "gf-kernel-xen")[1] == ran("explain", "GF-KERNEL-XEN")[1]


@pytest.mark.parametrize("old", sorted(RENAMED))
def test_a_name_of_old_is_explained_by_the_one_of_today(ran, old):
    status, text, _ = ran("explain", old)
    assert status == 0 and text.startswith(f"{RENAMED[old]}: a finding") and old in text


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("os.famly", "os.family"), ("fstab.disabel", "fstab.disable"), ("GF-KERNEL-XN", "GF-KERNEL-XEN"),
     ("boot/default-entri", "boot/default-entry"), ("aws-nito", "aws-nitro"), ("debain", "debian")],
)  # fmt: skip
def test_a_name_that_there_is_not_gets_the_nearest(ran, name, nearest):
    status, out, message = ran("explain", name)
    assert (status, out) == (64, "") and f"did you mean {nearest}?" in message


def test_a_hostile_name_is_no_trouble(ran):
    status, _, message = ran("explain", "\x1b[31m" + "x" * 10_000)
    assert status == 64 and "\x1b" not in message


def test_an_unknown_kind_is_a_mistake(ran):
    assert ran("list", "rulez")[0] == 64


# ops


@pytest.mark.parametrize("one", operations(), ids=lambda one: one.name)
def test_every_op_says_one_sentence_and_the_type_of_each_argument(one):
    assert one.says.endswith(".") and len(one.says) < 160
    assert all(argument.kind for argument in one.arguments), one.arguments
    assert not any(argument.required and argument.default is not None for argument in one.arguments)


# reference pages


@pytest.mark.parametrize("path", sorted(reference.pages()), ids=lambda path: path.name)
def test_a_reference_page_is_what_the_tables_make(path):
    assert path.read_text() == reference.pages()[path], "write it again with: make reference"


def test_no_other_page_lies_beside_them():
    folders = [reference.DOCS / name for name in ("reference", "schemas", "man", "completions")]
    assert {page for folder in folders for page in folder.iterdir()} == set(reference.pages())


# schemas


def documents(name):
    """Return every shipped file of a kind with its content, read as text and as an editor reads it."""
    places = {
        "rule": sorted(REAL.glob("fix/*/*/rule.yaml")),
        "system": sorted(REAL.glob("os/*/os.yaml")),
        "target": sorted(REAL.glob("targets/*.yaml")),
        "case": sorted(REAL.glob("**/cases/*/case.yaml")),
        "disks": sorted(REAL.parent.glob("testdata/guests/*/disks.yaml")),
    }
    for path in places[name]:
        text = path.read_text()
        yield path, yaml.load(text, Loader=yaml.CBaseLoader)
        yield path, json.loads(json.dumps(yaml.load(text, Loader=yaml.CSafeLoader), default=str))


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_shipped_file_is_valid(name):
    rules = schema(name, PACK)
    jsonschema.Draft202012Validator.check_schema(rules)
    validator = jsonschema.Draft202012Validator(rules)
    found = list(documents(name))
    assert len(found) > 4
    for path, document in found:
        assert [f"{path}: {error.json_path}: {error.message}" for error in validator.iter_errors(document)] == []


GOOD = {
    "rule": {
        "id": "a/b", "title": "t", "why": "w", "sources": ["s"], "since": "2026-11-25", "confidence": "certain",
        "when": ["os.family == linux"], "settles": ["GF-DISK-LUKS"],
        "do": [{"in": "/etc/fstab", "op": "fstab.disable", "args": {"types": ["a"], "sources": [], "why": "x"}}],
    },
    "target": {
        "id": "a", "title": "t", "source": "s", "date": "2026-11-25", "disk_bus": "x", "disk_prefix": "x", "nic": "x",
        "firmware": ["bios"], "drivers": {"storage": ["x"], "network": ["x"]},
        "windows_drivers": {"storage": ["x"], "network": ["x"]},
    },
    "system": {
        "id": "a", "title": "t", "family": "linux", "releases": ["1"],
        "rows": [{"version": "1", "verdict": "supported", "source": "s", "date": "2026-11-25"}],
    },
    "case": {"title": "t", "target": "aws-nitro", "policy": {"nfs": "keep"}},
    "disks": {"disks": [{"device": "/dev/sda", "table": "gpt", "partitions": [{"device": "/dev/sda1"}]}]},
}  # fmt: skip
BAD = [
    ("rule", {"titel": "t"}),
    ("rule", {"confidence": "sure"}),
    ("rule", {"settles": ["GF-NONE"]}),
    ("rule", {"since": "yesterday"}),
    ("rule", {"do": [{"in": "/etc/fstab", "op": "fstab.disabel"}]}),
    ("rule", {"do": [{"in": "/etc/fstab", "op": "fstab.disable"}]}),
    ("rule", {"do": [{"in": "/etc/fstab", "op": "fstab.disable", "args": {"types": [], "sources": [], "y": "x"}}]}),
    ("rule", {"do": [{"in": "/x", "op": "bootini.ems_off", "action": "initramfs.inject"}]}),
    ("target", {"firmware": ["coreboot"]}),
    ("target", {"drivers": {"storage": ["x"]}}),
    ("system", {"rows": [{"version": "1", "verdict": "fine", "source": "s", "date": "2026-11-25"}]}),
    ("system", {"facts": {"init": "upstart"}}),
    ("case", {"target": "aws-nito"}),
    ("case", {"policy": {"nfs": "kep"}}),
    ("disks", {"disks": [{"table": "gpt"}]}),
    ("disks", {"disks": [{"device": "/dev/sda", "table": "apm"}]}),
]


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_takes_what_is_right_and_is_printed(ran, name):
    status, text, _ = ran("schema", name)
    assert status == 0
    jsonschema.validate(GOOD[name], json.loads(text))


@pytest.mark.parametrize(("name", "change"), BAD)
def test_a_schema_refuses_what_is_wrong(name, change):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**GOOD[name], **change}, schema(name, PACK))


def test_an_entry_is_made_of_the_pack_at_hand():
    assert [one.name for one in entries("targets", PACK)] == sorted(PACK.targets)
