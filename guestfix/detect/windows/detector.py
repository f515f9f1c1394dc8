r"""Windows guests: finds the system folder and its hives, then learns everything from them.

Facts besides those of the other modules: ``windows.root`` (``/Windows``), ``windows.hives`` (live name
to guest path). Without a SYSTEM hive in ``System32\config`` this detector says nothing.
"""

from __future__ import annotations

from guestfix.base.catalog.facts.system import OS_FAMILY
from guestfix.base.errors import GuestError
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.pack.model import Target

ROOTS = ("Windows", "WINNT")


def find_root(guest: GuestFS) -> list[str]:
    """Return the folders at the top that hold a Windows with a SYSTEM hive, usually one."""
    names = [name for name in guest.list("/") if name.lower() in (root.lower() for root in ROOTS)]
    return [f"/{name}" for name in names if guest.stat(f"/{name}/System32/config/SYSTEM") is not None]


def detect(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Learn the facts of a Windows guest; see the module's other parts. Never raises for what it holds."""
    try:
        roots = find_root(guest)
    except GuestError:
        return []
    if not roots:
        return _no_hive(facts)
    if len(roots) > 1:
        proofs = tuple(Evidence(root) for root in roots)
        text = f"more than one Windows is installed: {', '.join(roots)}"
        return [Finding("GF-OS-SEVERAL-ROOTS", "blocker", text, proofs, "migrate one with the other's folder removed")]
    from guestfix.detect.windows.learn import learn_windows  # costly, and most guests are no Windows

    return learn_windows(guest, facts, target, roots[0])


def _no_hive(facts: Facts) -> list[Finding]:
    if facts.value(OS_FAMILY) != "windows":
        return []
    text = r"the Windows folder holds no registry hive SYSTEM in System32\config"
    remedy = "give the volume that Windows is installed on, whole"
    return [Finding("GF-WINDOWS-HIVE-MISSING", "blocker", text, facts.evidence(OS_FAMILY), remedy)]
