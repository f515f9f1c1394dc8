"""The YAML beside a program, package or script of a payload, which says for whom that is and how it is installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from guestfix.actions.payload import Payload
from guestfix.base.errors import PackError, TooLarge
from guestfix.pack.schema import Reader
from guestfix.pack.yamlpos import parse

ARCHES = ("x86_64", "i686", "aarch64")
MAX_YAML = 64 * 1024


def read_description(payload: Payload, path: str, what: str, keys: Sequence[str]) -> Reader:
    """Return a reader of the YAML at a path, whose keys are all known and whose ``arch`` are processors.

    What else is wrong is added to its problems; :func:`check` raises for them. Raises TooLarge, and PackError for no
    mapping.
    """
    data = payload.read(path)
    if len(data) > MAX_YAML:
        raise TooLarge(f"the YAML beside {what} is larger than {MAX_YAML} bytes", where=path)
    node, problems = parse(data, path)
    if node is None:
        raise PackError(problems)
    reader = Reader(node, problems, f"the description of {what}")
    reader.allow(keys)
    check_all(reader, "arch", lambda one: "" if one in ARCHES else f"one of {', '.join(ARCHES)}")
    return reader


def check_all(reader: Reader, key: str, fault: Callable[[str], str]) -> None:
    """Complain of each text of a key that has a fault; ``fault`` returns it, empty for none."""
    for one in reader.texts(key):
        if why := fault(one):
            reader.complain(reader.keys[key].mark, f"{key!r} can't be {one[:80]!a}: {why}")


def check(reader: Reader) -> None:
    """Raise PackError where the description has mistakes."""
    if reader.problems:
        raise PackError(reader.problems)
