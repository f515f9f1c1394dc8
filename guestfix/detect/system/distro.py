"""By which words and files the pack's systems are known, as one index over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from guestfix.base.facts import Evidence
from guestfix.base.record import frozen
from guestfix.pack.model import System
from guestfix.pack.traits import find_system


@frozen
class Identity:
    """What release files say. ``version`` is in the distribution's own writing; empty where unknown."""

    id: str
    version: str = ""
    name: str = ""
    like: tuple[str, ...] = ()
    variant: str = ""
    codename: str = ""
    evidence: tuple[Evidence, ...] = ()


class Known:
    """The systems, found by what a guest says.

    Files that only one system has come before those that its relatives carry too, and files of a system with many
    relatives before theirs; of two words the longer one counts.
    """

    def __init__(self, systems: Sequence[System]) -> None:
        self.systems = systems
        linux = sorted((one for one in systems if one.family == "linux"), key=lambda one: (-len(one.like), one.id))
        words = [(word, one) for one in linux for word in one.names.words]
        self.words = sorted(words, key=lambda pair: (-len(pair[0]), pair[0]))
        self.lsb = {word: one for one in linux for word in one.names.lsb}
        self.cpe = {word: one for one in linux for word in one.names.cpe}
        own = [path for one in linux for path in one.names.release_files]
        self.release_files = tuple(dict.fromkeys([*own, *(path for one in linux for path in one.names.shared_files)]))
        self.version_files = tuple((path, one) for one in linux for path in one.names.version_files)
        self.upstream_files = tuple((path, one) for one in linux for path in one.names.upstream_files)

    def by_id(self, word: str) -> System | None:
        """Return the system with this os-release ID."""
        return find_system(self.systems, word) if word else None

    def by_shared_id(self, word: str, name: str) -> System | None:
        """Return the system that shares this ID with others and begins its NAME as this one does."""
        named = self.by_line(name)
        return named[0] if named is not None and word in named[0].names.shared_ids else None

    def by_lsb(self, word: str) -> System | None:
        """Return the system with this DISTRIB_ID of lsb-release: a word for that, or an ID, if without blanks."""
        return self.lsb.get(word) or self.by_id(word) or self.by_id(word.replace(" ", ""))

    def by_line(self, line: str) -> tuple[System, str] | None:
        """Return the system that a release file's first line begins with, and the rest of the line in lower case."""
        text = line.lower().removeprefix("derived from ").removeprefix("welcome to ").lstrip()
        return next(((one, text[len(word) :]) for word, one in self.words if text.startswith(word)), None)


def variant_of(system: System | None, said: Iterable[str]) -> str:
    """Return the variant whose word stands in one of the texts, empty for none."""
    texts = [text.lower() for text in said]
    variants = system.names.variants if system is not None else {}
    return next((name for name, word in variants.items() if any(word.lower() in text for text in texts)), "")
