"""What pyproject.toml declares is what is imported: nothing unused, nothing that is only there by luck."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FOR_OTHERS = dict.fromkeys(("aiohttp", "s3fs", "gcsfs", "adlfs", "sshfs"), "fsspec")
"""What a dependency asks for itself where a filesystem needs it, without declaring it."""
OF_THE_SYSTEM = {"guestfs": "Debian's python3-guestfs", "hivex": "Debian's python3-hivex", "lz4": "python3-lz4"}
"""Modules that come with a system's own packages."""
TOOLS = {
    "mypy": '"$bin/mypy"',
    "ruff": '"$bin/ruff"',
    "pytest-cov": "--cov",
    "pytest-xdist": "-n ",
    "hatchling": "hatchling",
    "mkdocs-material": "name: material",
    "types-PyYAML": "mypy",
    "types-jsonschema": "mypy",
}
"""What is not imported but called, with a word of how."""

Import = tuple[str, str, bool]
"""Module, where, and whether it is imported with its file."""


def name_of(requirement: str) -> str:
    return re.match(r"[A-Za-z0-9._-]+", requirement)[0]  # type: ignore[index]


def declared(part: str = "") -> set[str]:
    found = PROJECT["optional-dependencies"][part] if part else PROJECT["dependencies"]
    return {name_of(one) for one in found}


@cache
def modules_of(name: str) -> set[str]:
    """Return the packages and modules that a distribution brings, dotted; skips where it is not installed."""
    try:
        listed = files(name) or []
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed here")
    found = set()
    for file in listed:
        if file.suffix in (".py", ".so", ".pyi") and not file.parts[0].endswith((".dist-info", "..")):
            parts = [*file.parts[:-1], file.name.partition(".")[0]]
            found |= {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
    shared = {"ruamel"}  # folders of several distributions
    return found - shared


def imports(folder: str) -> Iterator[Import]:
    """Yield what the Python files below a folder import that is neither the standard library's nor their own."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        tree, own = ast.parse(path.read_text()), {"guestfix", "tests", *_beside(path)}
        at_once = {node for statement in tree.body for node in [statement, *_guarded(statement)]}
        for node in ast.walk(tree):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("importorskip"):
                names = [str(node.args[0].value)] if isinstance(node.args[0], ast.Constant) else []
            for name in names:
                if name.partition(".")[0] not in sys.stdlib_module_names | own:
                    yield name, f"{path.relative_to(ROOT)}:{node.lineno}", node in at_once


def _beside(path: Path) -> set[str]:
    """Return the modules that a script finds in its own folder, which is no package."""
    return set() if (path.parent / "__init__.py").exists() else {one.stem for one in path.parent.glob("*.py")}


def _guarded(statement: ast.stmt) -> list[ast.stmt]:
    return (
        [*getattr(statement, "body", []), *getattr(statement, "handlers", [])] if isinstance(statement, ast.Try) else []
    )


def owner_of(module: str, names: set[str]) -> str | None:
    steps = module.split(".")
    tried = {".".join(steps[:count]) for count in range(1, len(steps) + 1)}
    return next((name for name in sorted(names) if tried & modules_of(name)), None)


CORE, DEV = declared(), declared("dev")
EXTRA = set().union(*(declared(part) for part in PROJECT["optional-dependencies"] if part != "dev"))


def test_what_guestfix_imports_is_declared() -> None:
    used = set()
    for module, where, at_once in imports("guestfix"):
        if module.partition(".")[0] in OF_THE_SYSTEM:
            continue
        owner = owner_of(module, CORE) or owner_of(module, EXTRA)
        assert owner, f"{where}: {module} is no dependency"
        assert owner in CORE or not at_once, f"{where}: {module} is an extra; import it where it is needed"
        used.add(owner)
    assert used | {name for name, other in FOR_OTHERS.items() if other in used} == CORE | EXTRA


def test_what_the_tests_import_is_declared() -> None:
    used = {"pytest"}
    for module, where, _ in imports("tests"):
        owner = owner_of(module, CORE | EXTRA | DEV)
        assert owner or module.partition(".")[0] in OF_THE_SYSTEM, f"{where}: {module} is no dependency"
        used |= {owner} if owner else set()
    called = (
        (ROOT / "tests/build/site/mkdocs.yml").read_text()
        + (ROOT / "tests/check.sh").read_text()
        + (ROOT / "pyproject.toml").read_text()
    )
    assert all(word in called for word in TOOLS.values())
    assert DEV - used - TOOLS.keys() == set()


def test_the_check_would_see_both_mistakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "guestfix").mkdir()
    (tmp_path / "guestfix/a.py").write_text("import yaml\ndef f():\n    import lark.lexer\n")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert [(module, at_once) for module, _, at_once in imports("guestfix")] == [("yaml", True), ("lark.lexer", False)]
    with pytest.raises(AssertionError):  # most of what is declared has no import here
        test_what_guestfix_imports_is_declared()
    monkeypatch.setitem(globals(), "CORE", {"PyYAML"})
    monkeypatch.setitem(globals(), "EXTRA", set())
    with pytest.raises(AssertionError, match=r"a\.py:3: lark\.lexer is no dependency"):
        test_what_guestfix_imports_is_declared()
