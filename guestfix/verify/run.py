"""Starting a guest on a target and watching it until it ends by itself: success, a stop, or a bound."""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable, Sequence

from guestfix.backends.accel import kvm
from guestfix.backends.disks.hostfiles import HostFiles
from guestfix.backends.disks.ova import open_images
from guestfix.backends.disks.overlaydisk import Overlays
from guestfix.backends.runfolder import RunFolder
from guestfix.base.record import frozen, replace
from guestfix.pack.model import Target
from guestfix.verify.firmware import find_uefi
from guestfix.verify.hardware import devices_of, firmware_of
from guestfix.verify.machine import Machine, Plan, banner, program
from guestfix.verify.model import Ending, Hardware, Seen, Stop
from guestfix.verify.model import Wire as WireSeen
from guestfix.verify.picture import Picture
from guestfix.verify.screens import can_read, missing, shown_by, text_of
from guestfix.verify.signs import Log, Reader
from guestfix.verify.wire import Wire

PATIENCE, LIMIT = 150.0, 1800.0
"""Seconds without any progress, and in all, after which a start ends."""

REACH = 90.0
"""Seconds that are waited for an address and an SSH server once somebody can log in."""

LINGER = 3.0
"""Seconds that are waited once all was seen."""

QUIET = 20.0
"""Seconds that are waited for a login prompt once an SSH server answers: a guest may have none on its serial port."""

BUSY = 32
"""Requests to the disks between two looks that count as progress, for a guest that says nothing."""

LOOK_SECONDS = 5.0
SCREEN_SECONDS = 15.0
"""Seconds between two looks at the screen of a Windows."""

MAX_RESETS = 5
MAX_SLOWED, BUSY_HOST = 20.0, 2.0
"""How far a busy host stretches the bounds, and from where the guest's own timeouts say nothing of it."""

MEMORY = 1024


@frozen
class Setting:
    """What a start is told of the guest, and the bounds: see the constants above.

    ``firmware`` is bios or uefi, by which the guest boots; ``shim``: it can boot with Secure Boot; ``ssh``: it has an
    SSH server; ``arch``: its processor; ``windows``: it is one, whose screen is read. ``allow`` and ``types`` as
    :class:`guestfix.backends.disks.hostfiles.HostFiles` takes them.
    """

    firmware: str = "bios"
    shim: bool = False
    ssh: bool = True
    memory: int = MEMORY
    processors: int = 1
    patience: float = PATIENCE
    reach: float = REACH
    limit: float = LIMIT
    allow: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    arch: str = "x86_64"
    windows: bool = False


def start(
    paths: Sequence[str],
    target: Target,
    setting: Setting,
    tell: Callable[[str, float], None] | None = None,
    keep_screen: Callable[[bytes], None] | None = None,
) -> Seen:
    """Start the guest in these disk images on a target and return what was seen.

    Nothing is written to the images. ``tell`` is called for each new sign, ``keep_screen`` with the last picture of
    the screen as PNG. Raises GuestfixError where it can't be started here at all.
    """
    program(setting.arch)
    host = HostFiles(setting.allow, setting.types)
    images = open_images(list(paths), host)
    devices = devices_of(target, len(images))
    firmware = firmware_of(target, setting.firmware)
    uefi = find_uefi(secure_boot=setting.shim, arch=setting.arch) if firmware == "uefi" else None
    overlays = Overlays(images, export="")
    try:
        works, why = kvm(program(setting.arch), overlays.run, setting.arch)
        plan = Plan(
            devices, uefi, target.clock, "kvm" if works else "tcg", setting.memory, setting.processors, setting.ssh,
            setting.arch,
        )  # fmt: skip
        hardware = Hardware(
            target.id, "KVM" if works else "emulation", why, firmware, bool(uefi and uefi.secure_boot),
            devices.disk.partition(",")[0], devices.nic, (*devices.stand_ins, *_blind(setting)), program(setting.arch),
        )  # fmt: skip
        machine = Machine(overlays, plan)
        try:
            return _Watch(machine, setting, hardware, overlays.run, tell, keep_screen).run()
        finally:
            machine.close()
    finally:
        overlays.close()


def _blind(setting: Setting) -> tuple[str, ...]:
    return () if can_read() or not setting.windows else (missing(),)


def slowed(seconds: float, starved: float) -> float:
    """Return by how much a start of so many seconds is slowed, of which it was starved of a processor for some.

    The bounds are stretched by it, at most twentyfold.
    """
    return max(1.0, min(seconds / max(seconds - starved, 0.01), MAX_SLOWED))


class _Watch:
    def __init__(
        self,
        machine: Machine,
        setting: Setting,
        hardware: Hardware,
        folder: RunFolder,
        tell: Callable[[str, float], None] | None,
        keep_screen: Callable[[bytes], None] | None,
    ) -> None:
        self.machine, self.setting, self.hardware = machine, setting, hardware
        self.tell, self.keep_screen = tell or (lambda name, seconds: None), keep_screen
        self.reader, self.wire, self.log = Reader(), Wire(), Log()
        self.decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("console", "screen")}
        self.begun = time.monotonic()
        self.banner = ""
        self._told = 0
        self._looked = self._asked = 0.0
        self._transfers = 0
        self._starved = 0.0
        self._folder, self._shown_at = folder, 0.0
        self._picture: Picture | None = None
        self._stop: Stop | None = None

    @property
    def now(self) -> float:
        return time.monotonic() - self.begun

    def run(self) -> Seen:
        while True:
            self._take(self.machine.read(0.5))
            ended = self._ended()
            if ended:
                return self._seen(*ended)

    def _take(self, came: dict[str, bytes]) -> None:
        now = self.now
        for name, data in came.items():
            if name == "wire":
                self.wire.feed(data)
                continue
            text = self.decoders[name].decode(data)
            self.log.add(text)
            self.reader.feed(text, now, name)
        if self.wire.lease:
            self.reader.note("lease", now, self.wire.lease)
        if now - self._looked > LOOK_SECONDS:
            self._look(now)
        if self.setting.windows and now - self._shown_at > SCREEN_SECONDS:
            self._look_at_screen()
        for mark in list(self.reader.marks.values())[self._told :]:
            self.tell(mark.name, mark.seconds)
        self._told = len(self.reader.marks)

    def _look(self, now: float) -> None:
        """Ask QEMU how busy the disks were, and the guest's SSH server who it is."""
        self._looked, self._starved = now, self.machine.starved()
        transfers = self.machine.transfers()
        if transfers - self._transfers > BUSY:
            self.reader.progress = now
        self._transfers = transfers
        wanted = "lease" in self.reader.marks or "login" in self.reader.marks
        if self.machine.port and wanted and not self.banner:
            self.banner = banner(self.machine.port)
            if self.banner:
                self.reader.note("ssh", self.now, self.banner)

    def _look_at_screen(self) -> None:
        """Read what the screen shows, where it shows something else than at the last look."""
        last, self._picture = self._picture, self.machine.screen()
        shown = shown_by(text_of(self._picture, self._folder)) if self._picture and self._picture != last else None
        now = self._shown_at = self.now
        if shown and shown.kind in ("logon", "setup"):
            self.reader.note(shown.kind, now, shown.line)
        elif shown:
            self._stop = Stop(shown.step, shown.why, shown.line, (), now)

    def _ended(self) -> tuple[Ending, Stop | None] | None:
        """Return how the start ended, None where it goes on."""
        now, marks = self.now, self.reader.marks
        stop = self._stop or self.reader.stop(now)
        if stop:
            return self._stopped(stop)
        if not self.machine.running:
            return "stopped", self._gone()
        if self.machine.resets > MAX_RESETS:
            return "stopped", self._again()
        seat = marks.get("login") or marks.get("logon")
        if seat and "lease" in marks and ("ssh" in marks or not self.setting.ssh):
            last = max(seat.seconds, *(marks[name].seconds for name in ("lease", "ssh") if name in marks))
            return ("reached", None) if now > last + LINGER else None
        if "ssh" in marks and "lease" in marks and now > marks["ssh"].seconds + QUIET:
            return "reached", None
        slow = slowed(now, self._starved)
        if seat and now > seat.seconds + slow * self.setting.reach:
            return "unreachable", None
        if now > slow * self.setting.limit or now > self.reader.progress + slow * self.setting.patience:
            return self._bound()
        return None

    def _bound(self) -> tuple[Ending, Stop | None]:
        if "ssh" in self.reader.marks:
            return "reached", None
        stop = self.reader.idle(self._transfers)
        if stop:
            return self._stopped(stop)
        return ("unreachable" if {"login", "logon"} & set(self.reader.marks) else "unproven"), None

    def _stopped(self, stop: Stop) -> tuple[Ending, Stop | None]:
        """Return a stop, unless this machine made it: its firmware read no disk, or it was too busy for a wait."""
        told = ""
        if stop.step == "firmware" and self.machine.running and not self.machine.reads():
            told = "the firmware here read nothing of any disk, as one does that has no driver for their controller"
        elif self.reader.waited and slowed(self.now, self._starved) >= BUSY_HOST:
            told = "this host was too busy: the guest got its processor half of the time or less, and gave a device up"
        if told:
            self.hardware = replace(self.hardware, stand_ins=(*self.hardware.stand_ins, told))
            return "unproven", None
        return "stopped", stop

    def _gone(self) -> Stop:
        stop = self.reader.idle()
        said = self.machine.said()
        return stop or Stop(self.reader.here, "the machine was switched off by the guest", said, (), self.now)

    def _again(self) -> Stop:
        return self.reader.idle() or Stop(self.reader.here, "the guest starts again and again", "", (), self.now)

    def _seen(self, ending: Ending, stop: Stop | None) -> Seen:
        if self.keep_screen and self.machine.running:
            picture = self._picture if self._stop else self.machine.screen()  # Windows starts again by itself
            if picture:
                self.keep_screen(picture.png())
        lease = self.reader.marks.get("lease")
        wire = WireSeen(
            self.wire.requests, self.wire.lease, lease.seconds if lease else 0.0, tuple(self.wire.addresses)
        )
        return Seen(
            ending, self.hardware, self.now, tuple(self.reader.marks.values()), stop, wire, self.banner,
            tuple(self.reader.failed), tuple(self.reader.waited), self.log.text, self.log.dropped,
        )  # fmt: skip
