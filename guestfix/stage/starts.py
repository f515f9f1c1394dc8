"""Starting a guest in a throw-away copy: walked first, so that what is seen can be held against what was said."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from guestfix.backends import named_backend, open_guest
from guestfix.base.catalog.facts.boot import BOOT_EFI, BOOT_FIRMWARE
from guestfix.base.catalog.facts.system import OS_ARCH, OS_FAMILY, SSH_INSTALLED
from guestfix.base.errors import GuestfixError, UsageError
from guestfix.base.facts import Fact
from guestfix.base.record import frozen, replace
from guestfix.base.text import one_line
from guestfix.pack.model import Pack, Target
from guestfix.plan.model import SCHEMA, Plan
from guestfix.plan.planner import make_plan
from guestfix.verify.machine import PROGRAMS
from guestfix.verify.model import Seen, Start, start_out, steps_of
from guestfix.verify.run import Setting, start
from guestfix.walk.model import Walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guestfix.backends.volumes.keys import Keys
    from guestfix.verify.shapes import VerifyOut


@frozen
class Started:
    """One start: which state of the guest, on which target, what the walk said, what was seen; the guest's facts.

    ``uri``, ``identity`` and ``plan`` are as :class:`guestfix.verify.model.Starts` has them.
    """

    name: str
    target: Target
    walk: Walk
    ssh: bool
    seen: Seen
    facts: tuple[Fact, ...]
    uri: str
    identity: str
    plan: str

    @property
    def start(self) -> Start:
        """What was seen, each step beside what the walk said of it."""
        return Start(self.name, self.seen, steps_of(self.seen, self.walk, ssh=self.ssh))


def document_of(cases: Sequence[Started]) -> VerifyOut:
    """Return the document of some starts of one guest; the first is of the guest as it was given."""
    first = cases[0]
    return {
        "schema": SCHEMA,
        "guest": {"uri": one_line(first.uri), "identity": first.identity},
        "plan_digest": first.plan,
        "starts": [start_out(one.start) for one in cases],
    }


def start_guest(
    guest: Sequence[str],
    target: Target,
    pack: Pack,
    bounds: Setting,
    *,
    name: str = "as it is",
    root: str = "",
    keys: Keys | Sequence[str] = (),
    tell: Callable[[str, float], None] | None = None,
    keep_screen: Callable[[bytes], None] | None = None,
) -> Started:
    """Walk the guest, start it, and return both; nothing is written to its images. ``guest``: as for open_guest.

    Of ``bounds`` memory, patience, reach, limit, allow and types count; the rest is as the guest's facts say.
    UsageError for a folder; GuestfixError where the guest can't be read, or can't be started here.
    """
    paths = [named_backend(one)[1] for one in guest]
    if folder := next((path for path in paths if os.path.isdir(path)), None):
        raise UsageError("only disk images can be started, and this is a folder", where=folder)
    allowed, types = list(bounds.allow), list(bounds.types)
    opened = open_guest(list(guest), root=root, allow_backing=allowed, image_types=types, keys=keys)
    plan = make_plan(opened, pack, target.id)
    setting = _setting(plan, bounds)
    target = target.on(setting.arch, "windows" if setting.windows else "")
    del opened
    seen = start(paths, target, setting, tell, keep_screen)
    own = (str(plan.guest["uri"]), str(plan.guest["identity"]), plan.digest)
    return Started(name, target, plan.walk.before, setting.ssh, seen, plan.facts, *own)


def _setting(plan: Plan, bounds: Setting) -> Setting:
    """Return how a guest is to be started, by what its plan says of it."""
    facts = {fact.name: fact.value for fact in plan.facts}
    arch = facts.get(OS_ARCH.name)
    kind = arch if isinstance(arch, str) and arch not in ("", "i686", "i586", "i486", "i386") else "x86_64"
    if kind not in PROGRAMS:
        raise GuestfixError(f"a guest for {kind} can't be started here, only those for {' and '.join(PROGRAMS)}")
    folders = facts.get(BOOT_EFI.name)
    names = [str(name).lower() for one in folders for name in one["files"]] if isinstance(folders, list) else []
    return replace(
        bounds,
        firmware=str(facts.get(BOOT_FIRMWARE.name) or "bios"),
        shim=any(name.startswith("shim") for name in names),
        ssh=facts.get(SSH_INSTALLED.name) is True and facts.get(OS_FAMILY.name) == "linux",
        arch=kind,
        windows=facts.get(OS_FAMILY.name) == "windows",
    )
