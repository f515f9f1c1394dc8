"""All that is wrong with a pack, each mistake shown in its line, and what a reviewer would ask for besides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from guestfix.base.errors import PackError
from guestfix.base.record import frozen
from guestfix.cases.runner import find_cases
from guestfix.pack.cache import load_pack
from guestfix.pack.files import pack_files


@frozen
class Remark:
    """Something about a pack: a ``mistake`` keeps it from loading, an ``advice`` does not.

    ``what`` of a mistake has the line below it, with a caret at the column that ``where`` names.
    """

    kind: str
    what: str
    where: str
    remedy: str = ""


def lint(root: str) -> list[Remark]:
    """Return every mistake of a pack, each with its line, or else what it lacks.

    Raises GuestfixError where there is no pack.
    """
    files = pack_files(root)
    try:
        load_pack(root)
        cases = find_cases(Path(root))
    except PackError as error:
        return [Remark("mistake", one.what, one.where, one.remedy) for one in error.problems]
    return list(_advice(root, files, {case.folder.parent.parent for case in cases}))


def _advice(root: str, files: Mapping[str, bytes], folders: set[Path]) -> Iterator[Remark]:
    """Yield what a reviewer would ask for: cases, and one in which a rule does nothing."""
    for name in files:
        folder = Path(root, name).parent
        place = str(Path(root, name))
        if not name.endswith(("rule.yaml", "os.yaml")):
            continue
        if folder not in folders:
            yield Remark(
                "advice", "no case shows what this does", place, f"guestfix case --from GUEST {folder}/cases/NAME"
            )
        elif name.endswith("rule.yaml") and len(list((folder / "cases").iterdir())) < 2:
            remedy = "add one in which it acts, or one in which it changes nothing"
            yield Remark("advice", "one case alone shows either what it does or what it leaves", place, remedy)
        if b"where this is said" in files[name] or b"CHANGE_ME" in files[name]:
            yield Remark("advice", "a place of the skeleton is not filled in", place, "say it, with its source")


def lint_text(remarks: list[Remark]) -> str:
    """Return the remarks for people, and how many there are."""
    parts = []
    for one in remarks:
        parts.append(f"{one.where}: {one.kind}: {one.what}\n")
        if one.remedy:
            parts.append(f"    {one.remedy}\n")
    mistakes = sum(one.kind == "mistake" for one in remarks)
    return "".join(parts) + f"{mistakes} mistake{'s' if mistakes != 1 else ''}, {len(remarks) - mistakes} advice\n"
