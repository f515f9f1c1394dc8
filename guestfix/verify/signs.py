r"""What a console says about a boot: signs of steps that were reached, and of boots that end there.

The texts are those of SeaBIOS, edk2, GRUB 2 (kern/rescue_reader.c, normal/menu.c, loader/i386/linux.c), syslinux,
Linux (init/main.c, init/do_mounts.c), initramfs-tools (scripts/functions, scripts/local), dracut (modules.d/98dracut-
systemd, 99base), systemd (src/core/show-status.c, sulogin-shell.c), sysvinit and Debian's initscripts. A console is a
hostile guest's: every line is cut, every list bounded, and no sign does more than end a start.
"""

from __future__ import annotations

from re import Pattern

from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.verify.model import Mark, Stop

MAX_LINE = 1000
MAX_NAMES = 50
READ = 64
"""Requests to the disks that every loader with a kernel makes."""

HEAD, TAIL = 200_000, 400_000
"""Characters that are kept of a console's begin and end."""

_MOVES = regex(r"\x1b\[[0-9;]*[Hf]|\r")
_ESCAPES = regex(r"\x1b(?:\[[0-9;?]*(?:[ -/]*[@-~])?|[()][0-9A-B]|[=>c78M])")
"""Colours and other controls; systemd may put an ellipsis where a sequence ought to end."""

_CUT = regex(r"\x1b(?:\[[0-9;?]*[ -/]*|[()])?\Z")
"""An escape sequence of which the end has not come yet."""

MAX_ESCAPE = 40
_DIGITS = regex(r"[0-9*|/\\.\-]+|\s+")

_MARKS: tuple[tuple[str, Pattern[str]], ...] = (
    ("loader", regex(r"GRUB loading|Welcome to GRUB|(?:SYS|EXT|ISO)LINUX \d|Booting `|GNU GRUB +version")),
    ("menu", regex(r"keys to select which entry|highlighted entry will be executed|Booting `")),
    ("entry", regex(r"Booting `|Loading (?:Linux |initial ramdisk|/?\S*(?:vmlinu|bzImage))")),
    ("kernel", regex(r"\bLinux version \d|\] Command line: |^\[ +\d+\.\d{6}\] ")),
    ("disks", regex(r"\] .{0,40}(?:\[(?:sd|vd)[a-z]+\] |\b(?:vd[a-z]+|sd[a-z]+|xvd[a-z]+|nvme\d+n\d+):)")),
    (
        "init",
        regex(
            r"Welcome to (?!.*Initramfs)(?!GRUB).+!|INIT: version \d|OpenRC [\d.]+ is starting"
            r"|systemd\[1\]: (?:Set hostname|Hostname set) to"
        ),
    ),
    ("root-mounted", regex(r"Begin: Running /scripts/init-bottom .*done\.|systemd\[1\]: Switching root")),
    (
        "local-fs",
        regex(
            r"Reached target (?:local-fs\.target - )?Local File Systems(?! \(Pre)|Mounting local filesystems\.\.\.done"
        ),
    ),
    ("network-online", regex(r"Reached target (?:network-online\.target|.*Network is Online)")),
    ("login", regex(r"(?:^|\s)[\w.-]{1,64} login: *$")),
)
_EARLY = regex(r"systemd\[1\]: Running in init(?:rd|ial RAM disk)|Welcome to .*\(Initramfs\)!")
_LATE = regex(r"systemd\[1\]: Switching root|Welcome to (?!.*Initramfs)(?!GRUB).+!")
"""Where an initramfs' own systemd begins and ends: what it says of targets is not of the root."""

_OF_ROOT = ("init", "local-fs", "network-online")
_FAILED = regex(r"\[FAILED\] Failed to (?:start|mount|listen on|activate swap) (.{1,200}?)\.?$")
_WAITED = regex(r"\[ TIME \] Timed out waiting for (?:device )?(.{1,200}?)\.?$")


@frozen
class _Sign:
    """A text that ends a boot. ``settle``: seconds without a later sign after which it counts."""

    pattern: Pattern[str]
    step: str
    why: str
    settle: float = 1.0
    also: tuple[str, ...] = ()


_DISK = "disk"
"""Stands for the step of signs that mean: no root yet. The disks seen tell whether the driver lacks, or the name."""

_SIGNS: tuple[_Sign, ...] = (
    _Sign(regex(r"No bootable device|No bootable option or device was found"), "firmware", "no loader is found"),
    _Sign(regex(r"UEFI Interactive Shell|^Shell>"), "firmware", "the firmware's shell", 5),
    _Sign(regex(r"(?i)missing operating system|error loading operating system"), "firmware", "no loader is found"),
    _Sign(
        regex(r"^(?!.*EFI Internal Shell).*(?:Security Violation|Verification failed)"),
        "loader", "Secure Boot refuses the loader", 20,
    ),
    _Sign(regex(r"^GRUB (?:Geom|Hard Disk|Read|Floppy) ?Error|grub rescue>"), "loader", "GRUB's rescue shell", 3),
    _Sign(regex(r"^grub>|Minimal BASH-like line editing"), "loader", "GRUB has no menu", 5, ("entry",)),
    _Sign(regex(r"No DEFAULT or UI configuration directive found"), "loader", "no configuration is found", 10),
    _Sign(regex(r"BOOTMGR is missing|NTLDR is missing"), "loader", "Windows' boot manager is not found"),
    _Sign(regex(r"^\s*Enter username:"), "entry", "GRUB asks for a user before it starts the entry", 5),
    _Sign(regex(r"bad shim signature"), "kernel", "Secure Boot refuses the kernel", 20),
    _Sign(
        regex(r"error: (?:file `[^'`]*(?:vmlinu|bzImage|kernel)[^'`]*' not found|you need to load the kernel first)"),
        "kernel",
        "the entry's kernel is not found",
        20,
    ),
    _Sign(regex(r"(?i)could not find kernel image|error: invalid (?:magic number|kernel)"), "kernel", "no kernel", 20),
    _Sign(regex(r"error: file `[^'`]*init[^'`]*' not found"), "initramfs", "the entry's initramfs is not found", 20),
    _Sign(regex(r"Initramfs unpacking failed"), "initramfs", "the initramfs can't be unpacked", 40),
    _Sign(regex(r"VFS: Unable to mount root fs on \S*\(0,0\)|unable to mount root fs via"), "initramfs", "no root", 1),
    _Sign(regex(r"VFS: Unable to mount root fs"), _DISK, "the kernel mounts no root"),
    _Sign(regex(r"ALERT! +\S+ does not exist|Gave up waiting for root"), _DISK, "no root is found", 15),
    _Sign(regex(r"dracut-initqueue.*timeout|Warning: Could not boot"), _DISK, "dracut waits for a root in vain"),
    _Sign(regex(r"^\(initramfs\)|dracut:/#"), _DISK, "the initramfs' shell", 2),
    _Sign(regex(r"Target filesystem doesn't have requested|No init found|No working init"), "root", "no init", 5),
    _Sign(
        regex(r"(?i)You are in emergency mode|Entering emergency mode|root password for maintenance|"
              r"root account is locked|Press Enter for maintenance"),
        "",
        "emergency mode",
        3,
    ),
    _Sign(regex(r"Kernel panic - not syncing"), "", "a kernel panic", 2),
)  # fmt: skip
_ORDER = ("firmware", "loader", "entry", "kernel", "initramfs", "root", "mounts", "network", "access")
_AFTER = {
    "loader": 1,
    "menu": 2,
    "entry": 3,
    "kernel": 4,
    "disks": 4,
    "root-mounted": 6,
    "init": 6,
    "local-fs": 7,
    "login": 7,
    "setup": 6,
    "logon": 7,
}
"""By sign: the index in ``_ORDER`` of the step that a boot is at once it was seen."""


class Reader:
    """Reads consoles as they come. What it knows: ``marks``, ``stop`` (once settled), ``failed``, ``waited``."""

    def __init__(self) -> None:
        self.marks: dict[str, Mark] = {}
        self.failed: dict[str, None] = {}
        self.waited: dict[str, None] = {}
        self.progress = 0.0
        self._candidate: tuple[Stop, float] | None = None
        self._known: set[str] = set()
        self._lines: dict[str, str] = {}
        self._held: dict[str, str] = {}
        self._early = False

    def feed(self, text: str, now: float, port: str = "") -> None:
        """Take what came from a console. ``now``: seconds since the start."""
        text = self._held.pop(port, "") + text
        cut = _CUT.search(text, max(len(text) - MAX_ESCAPE, 0))
        if cut:
            text, self._held[port] = text[: cut.start()], cut[0]
        text = _ESCAPES.sub("", _MOVES.sub("\n", text))
        *lines, rest = (self._lines.get(port, "") + text).split("\n")
        for line in lines:
            self._look(line[:MAX_LINE], now, whole=True)
        self._lines[port] = rest[:MAX_LINE]
        if rest:
            self._look(rest[:MAX_LINE], now, whole=False)

    def note(self, name: str, now: float, line: str = "") -> None:
        """Add a sign that does not stand on a console; a later one takes back a stop that has not settled."""
        if name not in self.marks:
            self.marks[name] = Mark(name, now, line)
            self.progress = now
        reached = _AFTER.get(name, 0)
        if self._candidate and self._candidate[0].step and reached > _ORDER.index(self._candidate[0].step):
            self._candidate = None

    def _look(self, line: str, now: float, *, whole: bool) -> None:
        shape = _DIGITS.sub(" ", line).strip()
        if not shape:
            return
        if shape not in self._known and len(self._known) < 100_000:
            self._known.add(shape)
            self.progress = now
        self._early = not _LATE.search(line) and (self._early or _EARLY.search(line) is not None)
        for name, pattern in _MARKS:
            if self._early and name in _OF_ROOT:
                continue
            if (name not in self.marks or self._candidate) and pattern.search(line):
                self.note(name, now, line)
        for pattern, names in ((_FAILED, self.failed), (_WAITED, self.waited)) if whole else ():
            match = pattern.search(line)
            if match and len(names) < MAX_NAMES:
                names[match[1]] = None
            if match and names is self.failed:
                self.note("degraded", now, line)
        sign = next((one for one in _SIGNS if one.pattern.search(line)), None)
        if sign and self._candidate is None and "login" not in self.marks:
            self._candidate = (self._stop(sign, line, now), now + sign.settle)

    def _stop(self, sign: _Sign, line: str, now: float) -> Stop:
        at = max((_AFTER[name] for name in self.marks if name in _AFTER), default=0)
        step, also = sign.step, sign.also
        if step == _DISK or (not step and not {"init", "root-mounted"} & set(self.marks)):
            return self._rootless(sign, line, now)
        step = step or _ORDER[max(at, _ORDER.index("mounts"))]
        return Stop(step, sign.why, line, also, now)

    def _rootless(self, sign: _Sign, line: str, now: float) -> Stop:
        """Return a stop before the root was mounted: with a disk seen it is the name, without one the driver."""
        if "disks" in self.marks:
            return Stop("root", sign.why, line, (), now)
        quiet = "kernel" not in self.marks or "Linux version" not in self.marks["kernel"].line
        return Stop("root" if quiet else "initramfs", sign.why, line, ("initramfs",) if quiet else (), now)

    def stop(self, now: float) -> Stop | None:
        """Return where the boot ended, once nothing has come after that sign for as long as it takes to settle."""
        if self._candidate and now >= self._candidate[1]:
            return self._candidate[0]
        return None

    @property
    def here(self) -> str:
        """The step that a boot is at by the signs that were seen."""
        return _ORDER[max((_AFTER[name] for name in self.marks if name in _AFTER), default=0)]

    def idle(self, requests: int = READ) -> Stop | None:
        """Return what a boot that goes no further stands at, where the last sign tells.

        ``requests``: how often the disks were asked; a machine that read next to nothing of them found no loader there.
        """
        if self._candidate:
            return self._candidate[0]
        if not self.marks and requests < READ:
            return Stop("firmware", "nothing of a system is read from the disk", "", (), self.progress)
        if "menu" in self.marks and "entry" not in self.marks and "kernel" not in self.marks:
            return Stop("entry", "the boot menu waits for a choice", self.marks["menu"].line, (), self.progress)
        if "kernel" in self.marks and "init" not in self.marks:
            return self._rootless(_NO_MORE, "", self.progress)
        return None


_NO_MORE = _Sign(regex(r"$^"), _DISK, "nothing more comes before the root is mounted")


class Log:
    """A console's text, its begin and end, bounded."""

    def __init__(self) -> None:
        self._head, self._tail, self._seen = "", "", 0

    def add(self, text: str) -> None:
        """Add what came."""
        self._seen += len(text)
        room = HEAD - len(self._head)
        self._head += text[:room] if room > 0 else ""
        self._tail = (self._tail + text[max(room, 0) :])[-TAIL:]

    @property
    def text(self) -> str:
        """What was kept, without the moves of a cursor and colours."""
        cut = f"\n[... {self.dropped} characters are left out ...]\n" if self.dropped else ""
        return _ESCAPES.sub("", self._head + cut + self._tail).replace("\r\n", "\n").replace("\r", "\n")

    @property
    def dropped(self) -> int:
        """Characters that were not kept."""
        return self._seen - len(self._head) - len(self._tail)
