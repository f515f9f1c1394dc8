"""Facts: what was learned about a guest, each with the evidence that shows it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar, overload

from guestfix.base.catalog.facts.kind import Asked, FactKind
from guestfix.base.catalog.findings import RENAMED, kind_of
from guestfix.base.record import asdict, frozen, preset
from guestfix.base.secrets import masked, masked_at, masked_value

if TYPE_CHECKING:
    from guestfix.base.shapes import EvidenceOut

T = TypeVar("T")


def _hide(record: object, name: str, shown: str) -> None:
    """Put a text without its secrets in the place of the one that has them."""
    if shown is not getattr(record, name):
        preset(record, name, shown)


@frozen
class Unknown:
    """The value of a fact that could not be learned, and why. Unknown is not false."""

    reason: str

    def __post_init__(self) -> None:
        """Hide secrets: the reason may quote what the guest holds."""
        _hide(self, "reason", masked(self.reason))


@frozen
class Nothing:
    """The value of a fact whose thing is known not to be there; ``{}`` in JSON."""

    def __bool__(self) -> bool:
        """Be false, as what is not there."""
        return False


@frozen
class Evidence:
    """Where something was seen: guest path, 1-based line (0: the whole file), and the text there, without secrets."""

    path: str
    line: int = 0
    text: str = ""

    def __post_init__(self) -> None:
        """Hide secrets: evidence is there to be shown."""
        _hide(self, "text", masked_at(self.path, self.text))

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.text}" if self.text else place


@frozen
class Fact:
    """One learned value: of the type that its row of the table has, or JSON where it was read from a plan file."""

    name: str
    value: object
    evidence: tuple[Evidence, ...] = ()

    def plain(self) -> Fact:
        """Return the fact as it is shown: its value in JSON form, without secrets; what is Unknown stays so."""
        value = self.value if isinstance(self.value, Unknown) else masked_value(plain(self.value))
        return Fact(self.name, value, self.evidence)


class Facts(Mapping[str, Fact]):
    """All facts by dotted name (``os.id``), in the order in which they were learned.

    ``facts["os.id"]`` is a Fact; :meth:`value` gives the bare value and is what most callers want. It and :meth:`put`
    take a row of the table of facts (``BOOT_DEFAULT``), which has the value's type.
    """

    def __init__(self) -> None:
        self._facts: dict[str, Fact] = {}

    @overload
    def put(self, kind: FactKind[T], value: T | Unknown | Nothing | None, *evidence: Evidence) -> None: ...
    @overload
    def put(self, kind: str, value: object, *evidence: Evidence) -> None: ...
    def put(self, kind: FactKind[T] | str, value: object, *evidence: Evidence) -> None:
        """Record a fact. A later put of the same name replaces the earlier one."""
        name = kind if isinstance(kind, str) else kind.name
        self._facts[name] = Fact(name, value, tuple(evidence))

    def copy(self) -> Facts:
        """Return the same facts, apart from these from now on."""
        other = Facts()
        other._facts = dict(self._facts)
        return other

    def only(self, names: Collection[str]) -> Facts:
        """Return the facts with these names, apart from these from now on."""
        other = Facts()
        other._facts = {name: fact for name, fact in self._facts.items() if name in names}
        return other

    @overload
    def value(self, kind: Asked[T], default: T) -> T: ...
    @overload
    def value(self, kind: Asked[T], default: None = None) -> T | None: ...
    @overload
    def value(self, kind: str, default: object = None) -> object: ...
    def value(self, kind: Asked[T] | str, default: object = None) -> object:
        """Return the fact's value, or default where it is missing, unknown or known not to be there."""
        fact = self._facts.get(kind if isinstance(kind, str) else kind.name)
        return default if fact is None or isinstance(fact.value, Unknown | Nothing) else fact.value

    def knows(self, name: str) -> bool:
        """Tell whether the fact is there and has a value; a thing that is known not to be there counts."""
        fact = self._facts.get(name)
        return fact is not None and fact.value is not None and not isinstance(fact.value, Unknown)

    def why_unknown(self, kind: Asked[object]) -> str:
        """Return why a fact is not known; empty where nothing says so."""
        fact = self._facts.get(kind.name)
        return fact.value.reason if fact is not None and isinstance(fact.value, Unknown) else ""

    def evidence(self, kind: Asked[object] | str) -> tuple[Evidence, ...]:
        """Return the fact's evidence, empty where there is no such fact."""
        fact = self._facts.get(kind if isinstance(kind, str) else kind.name)
        return fact.evidence if fact else ()

    def __getitem__(self, name: str) -> Fact:
        return self._facts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)


@frozen
class Finding:
    """A problem that guestfix saw. ``blocker`` forbids apply; ``warning`` and ``info`` don't.

    ``code`` is stable (``GF-FSTAB-ROOT-UNRESOLVED``); ``remedy`` says what the administrator can do, by default what
    the table of findings says. ``rule`` is the rule that found it, ``settled_by`` one whose changes in this plan take
    the fault away. ``outcome`` is what the fault means for the step of the boot that it is about: the boot ``stops``
    there, ``waits`` some ``seconds``, or the step is ``unknown``; empty: nothing, or for a blocker that the boot stops.
    Raises ValueError for a code that the table has not, or a severity that it does not allow there.
    """

    code: str
    severity: str
    summary: str
    evidence: tuple[Evidence, ...] = ()
    remedy: str = ""
    rule: str = ""
    settled_by: str = ""
    outcome: Literal["", "waits", "stops", "unknown"] = ""
    seconds: int = 0

    @property
    def step(self) -> str:
        """The step of the boot, or the other stage, that the table of findings gives to the code."""
        return kind_of(self.code).stage

    @property
    def left(self) -> str:
        """The severity of what is left once the plan is applied: of what it settles, ``info``."""
        return "info" if self.settled_by else self.severity

    def __post_init__(self) -> None:
        """Hold the finding to its row of the table."""
        kind = kind_of(self.code)
        if not kind.allows(self.severity):
            raise ValueError(f"{self.code} can't be of the severity {self.severity!r}: it is {kind.severity}")
        if self.outcome == "stops" and not kind.may_stop:
            raise ValueError(
                f"{self.code} can't stop a boot: it is {kind.severity}, and what stops a planned one blocks"
            )
        preset(self, "code", RENAMED.get(self.code, self.code))
        _hide(self, "summary", masked(self.summary))
        _hide(self, "remedy", masked(self.remedy))
        if not self.remedy:
            preset(self, "remedy", kind.remedy)


def evidence_list(items: Sequence[Evidence]) -> list[EvidenceOut]:
    """Return evidence in its JSON form."""
    return [{"path": item.path, "line": item.line, "text": item.text} for item in items]


def plain(value: object) -> object:
    """Return a fact's value in its JSON form: records as objects. ``told()`` of one is what is told of it."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Nothing):
        return {}
    told = getattr(value, "told", None)
    return asdict(told() if told is not None else value)
