"""The shape of the code that the design promises: imports point down, the writer stays in few hands."""

import ast
import re
from pathlib import Path

import pytest

from guestfix.actions import ACTIONS, find_action
from guestfix.editors import OPS, find_op
from guestfix.pack.cache import load_pack

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "guestfix"
MODULES = sorted(PACKAGE.rglob("*.py"))

FACE = PACKAGE / "__init__.py"
"""The public API: it names everything, for type checkers only."""

LAYERS = (
    ("base", "__init__"),
    ("formats",),
    ("editors",),
    ("backends",),
    ("pack",),
    ("detect", "compat", "actions"),
    ("walk",),
    ("plan", "verify"),
    ("apply",),
    ("stage",),
    ("report", "cases"),
    ("authoring", "fleet"),
    ("commands", "cli", "__main__"),
)
"""The units of the package, lowest first: each may import what stands on its own line or above it."""

UPWARD = {
    ("backends", "pack"): "a disks description is read with the pack's YAML reader",
    ("pack", "actions"): "a step's arguments are checked against the action's signature",
}


def layer_of(part: str) -> int:
    for index, names in enumerate(LAYERS):
        if part in names:
            return index
    raise AssertionError(f"guestfix/{part} has no layer: name it in LAYERS")


def imports(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("guestfix"):
            yield node.module, node.lineno, [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("guestfix"):
                    yield alias.name, node.lineno, []


def part_of(module: str, names: list[str]) -> str:
    parts = module.split(".")
    if len(parts) > 1:
        return parts[1]
    return names[0] if len(names) == 1 and not names[0].startswith("__") else "__init__"


@pytest.mark.parametrize("path", [p for p in MODULES if p != FACE], ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module, line, names in imports(path):
        part = part_of(module, names)
        allowed = layer_of(part) <= layer_of(own) or (own, part) in UPWARD
        assert allowed, f"{path}:{line}: {own} (lower) imports {part} (higher)"


def test_only_apply_and_backends_hold_a_writer():
    holders = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        for _, _, names in imports(path)
        if "GuestWriter" in names and path.relative_to(PACKAGE).parts[0] != "backends"
    }
    files = {"apply/apply.py", "apply/undo.py", "apply/home.py", "apply/copies.py"}
    assert holders <= files | {"stage/session.py", "__init__.py"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_stay_small(path):
    assert len(path.read_text().splitlines()) <= 400


def test_functions_stay_small():
    lengths = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                lengths.append(length)
                assert length <= 60, f"{path}:{node.lineno} {node.name} has {length} lines"
    lengths.sort()
    assert lengths[len(lengths) // 2] <= 12


def test_only_the_command_line_prints_or_exits():
    for path in MODULES:
        if path.relative_to(PACKAGE).parts[0] in ("commands", "cli.py", "__main__.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("print", "sys.exit", "exit", "os._exit"), f"{path}:{node.lineno}"


def test_no_file_names_this_machine():
    banned = ("/work/", "gf-venv", "farm-" + "bench", "farm-" + "studio")
    for path in [*ROOT.glob("[!.]*.*"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("rules/**/*.yaml"), *MODULES]:
        if path.is_file():
            text = path.read_text(errors="replace")
            for word in banned:
                assert word not in text, f"{path} names {word}"


DIALECTS = ("ifcfg-suse", "mkinitrd-suse", "ifcfg_suse", "ifcfg:suse", "debian_frontend")
"""Names of formats and programs that happen to hold a distribution's."""

NAMED_ELSEWHERE = {
    "backends/contract.py": "a small guest that every backend must read alike",
    "backends/layout/system.py": "files that only a root has, whichever system it is",
    "detect/limits/roots.py": "files that only a root has, whichever system it is",
    "plan/learn.py": "the digest that tells guests apart must stay what it was when a plan was reviewed",
    "detect/system/identity.py": "a field of os-release(5) that several distributions fill in",
    "commands/compat.py": "examples in help texts",
    "detect/storage/users.py": "folders that a database's installer makes, whose maker makes a distribution too",
    "pack/ranges.py": "two ways of counting versions are named after who counts so",
}
WORDS_OF_LANGUAGE = ("arch", "ovs", "void", "ol")
"""Ids that mean something else in a program: architecture, Open vSwitch, nothing, a list."""


def literals(path: Path):
    """Yield the texts of a module, its docstrings left out."""
    tree = ast.parse(path.read_text())
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.lineno, node.value.lower()


def test_no_module_knows_a_distribution_by_name():
    linux = [one for one in load_pack().systems if one.family == "linux"]
    known = {
        word for one in linux for word in (one.id.lower(), *one.names.aliases, *one.names.lsb, *one.names.families)
    }
    pattern = re.compile(rf"(?<![a-z0-9])(?:{'|'.join(map(re.escape, known - {*WORDS_OF_LANGUAGE}))})(?![a-z0-9])")
    found, idle = [], set(NAMED_ELSEWHERE)
    for path in MODULES:
        for line, text in literals(path):
            text = text.replace("\\b", " ")  # of a pattern
            for dialect in DIALECTS:
                text = text.replace(dialect, "")
            if pattern.search(text):
                idle.discard(str(path.relative_to(PACKAGE)))
                if str(path.relative_to(PACKAGE)) not in NAMED_ELSEWHERE:
                    found.append(f"{path.relative_to(PACKAGE)}:{line}: {text[:60]!r}")
    assert found == [], "what is known of a distribution belongs into rules/os/<id>/os.yaml"
    assert idle == set(), "these modules need no exception any more"


@pytest.mark.parametrize("name", OPS)
def test_every_editor_is_there(name):
    assert callable(find_op(name))


@pytest.mark.parametrize("name", ACTIONS)
def test_every_action_is_there(name):
    assert callable(find_action(name))


def loose_strings(source: str) -> list[int]:
    """Return the lines of strings that stand alone and document nothing, as where a concatenation was forgotten."""
    found = []
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            alone = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant | ast.JoinedStr)
            if alone and not (ast.get_source_segment(source, statement) or "").startswith(('"""', 'r"""', "...")):
                found.append(statement.lineno)
    return found


def test_no_string_lost_what_it_belongs_to():
    assert loose_strings('A = "one"\n"two"\n') == [2] and loose_strings('A = "one"\n"""What A is."""\n') == []
    for path in [*MODULES, *(ROOT / "tests").rglob("*.py")]:
        assert not (lines := loose_strings(path.read_text())), f"{path}:{lines[0]}: a string that nothing uses"


def test_no_test_module_imports_another():
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests"):
                named = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                tests = [name for name in named if name.startswith("test_")]
                assert not tests, f"{path}:{node.lineno}: what tests share stands in tests/build"


def test_at_most_one_conftest():
    assert len(list((ROOT / "tests").rglob("conftest.py"))) <= 1


SAID = ("what", "reason", "because", "summary", "remedy")
PICKS = ("startswith", "endswith", "partition", "rpartition", "find", "index", "split")
OTHERS_WORDS = {"backends/libguestfs/far.py"}
"""Modules that have nothing but the words of another program to go by."""


def is_said(node):
    """Tell whether a node of the source is one of our own sentences: an error's text, a finding's, a decision's."""
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) == "str" and "error" in ast.unparse(node)
    return isinstance(node, ast.Attribute) and node.attr in SAID


def test_nothing_is_decided_by_what_our_own_sentences_say():
    found = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            sides = []
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn | ast.Eq | ast.NotEq):
                sides = [node.left, *node.comparators]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in PICKS:
                sides = [node.func.value]
            if any(is_said(side) for side in sides):
                found.append(f"{path.relative_to(PACKAGE)}:{node.lineno}: {ast.unparse(node)[:80]}")
    assert [one for one in found if one.partition(":")[0] not in OTHERS_WORDS] == []


MOST_ANY = 91
"""Uses of Any: what YAML, JSON and libraries without types give, and the records' own workings. It only comes down."""


def test_any_is_for_the_edges():
    found: dict[str, int] = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Name) and node.id == "Any":
                found[str(path.relative_to(PACKAGE))] = found.get(str(path.relative_to(PACKAGE)), 0) + 1
    assert sum(found.values()) <= MOST_ANY, sorted(found.items(), key=lambda one: -one[1])


def test_facts_are_asked_for_by_their_rows():
    """A fact's name as bare text has no type; policies have no row, since a pack names them."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                holder = ast.unparse(node.func.value)
                first = node.args[0]
                if node.func.attr in ("value", "put", "evidence") and holder.endswith("facts"):
                    text = first.value if isinstance(first, ast.Constant) else "policy."
                    assert str(text).startswith("policy."), f"{path}:{node.lineno}: {text} by name"
