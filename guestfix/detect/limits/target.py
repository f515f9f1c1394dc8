"""What the target itself does not take: a guest for another processor, and what its import refuses.

The latter stands in the target's file, as conditions over facts: where one of those is unknown, nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.base.catalog.facts.system import OS_ARCH
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.globs import glob
from guestfix.base.guest import GuestFS
from guestfix.pack.model import Condition, Target
from guestfix.pack.when import evaluate, facts_of, paths_of

RUNS = {"i386": "x86_64", "i586": "x86_64", "i686": "x86_64", "x86": "x86_64", "amd64": "x86_64", "arm64": "aarch64"}
"""By what a guest's programs are built for: the processor that runs them, where it has another name."""


def check(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Report a guest that no processor of the target runs, and each refusal of its import that holds."""
    return [*_processor(facts, target), *_refused(guest, facts, target)]


def _processor(facts: Facts, target: Target) -> Iterator[Finding]:
    arch = facts.value(OS_ARCH)
    if arch and target.arch and RUNS.get(arch, arch) not in target.arch:
        yield Finding(
            "GF-TARGET-ARCH",
            "blocker",
            f"the guest is built for {arch}, and {target.id} has processors of the kind {', '.join(target.arch)}",
            facts.evidence(OS_ARCH),
            f"choose a target with such a processor (guestfix list targets), or install the system for "
            f"{target.arch[0]} and move the workload",
        )


def _refused(guest: GuestFS, facts: Facts, target: Target) -> Iterator[Finding]:
    for one in target.refuses:
        if all(evaluate(each, facts, lambda path: bool(glob(guest, path))) for each in one.when):
            seen = tuple(dict.fromkeys(proof for each in one.when for proof in _proofs(each, facts)))[:4]
            said = f"{target.id}: {one.says} ({one.source}, {one.date})"
            yield Finding("GF-TARGET-REFUSES", one.severity, said, seen, one.remedy)


def _proofs(condition: Condition, facts: Facts) -> Iterator[Evidence]:
    """Yield where what a condition asks for was seen; the fact itself where nothing shows it, a path that it names."""
    yield from (Evidence(path, 0, "looked for") for path in paths_of(condition))
    for name in facts_of(condition):
        fact = facts.get(name)
        proofs = facts.evidence(name) if fact is not None else ()
        yield from proofs or (Evidence("facts", 0, f"{name}: {fact.value if fact is not None else ''}"[:200]),)
