"""Changes to kernel arguments, each a pure function over the words at one place.

Sources: the kernel's admin-guide/kernel-parameters; dracut.cmdline(7); initramfs-tools(7);
systemd-hibernate-resume-generator(8).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

from guestfix.base.globs import name_matcher
from guestfix.base.patterns import regex
from guestfix.base.record import field, mutable, replace
from guestfix.formats.boot.cmdline import ArgLine, Change, Rewrite, name_of, same_name, value_of
from guestfix.formats.boot.entry import release_in
from guestfix.formats.storage import devices

DEVICE_ARGUMENTS = ("root", "resume", "boot", "real_root", "real_resume", "rootdev", "swap", "mount.usr")
"""Arguments whose value is a block device that early user space or the kernel opens."""

REPORTED_ARGUMENTS = ("cryptdevice", "cryptkey", "journal_async_commit_dev", "rd.luks.key", "md")
"""Arguments that may name a device in a form of their own; they are reported, not changed."""

_NUMBERS = regex(r"(?:0x)?[0-9a-fA-F]{3,4}\Z|\d+:\d+\Z")


STACKED = (
    "rd.lvm.lv", "rd.lvm.vg", "rd.luks.uuid", "rd.luks.name", "luks.uuid", "luks.name", "rd.md.uuid",
    "rd_LVM_LV", "rd_LVM_VG", "rd_LUKS_UUID", "rd_MD_UUID",
)  # fmt: skip
"""Arguments that open a volume, and wait for it for long (dracut.cmdline(7), systemd-cryptsetup-generator(8))."""


def stacked(name: str, value: str) -> str:
    """Return the name of the volume that such an argument opens: a device, a tag, for a group a pattern of devices."""
    if name in ("rd.lvm.lv", "rd_LVM_LV"):
        return f"/dev/{value}" if value.count("/") == 1 else ""
    if name in ("rd.lvm.vg", "rd_LVM_VG"):
        return f"/dev/{value}/*" if value and "/" not in value else ""
    if name in ("rd.md.uuid", "rd_MD_UUID"):
        digits = "".join(letter for letter in value.lower() if letter in "0123456789abcdef")
        return f"/dev/disk/by-id/md-uuid-{':'.join(digits[at : at + 8] for at in range(0, 32, 8))}"
    identity = value.partition("=")[0].removeprefix("luks-")
    return f"UUID={identity}" if len(identity) == 36 else ""


def by_number(value: str) -> str:
    """Return the disk or partition that a device number means (``802``, ``0x0802``, ``8:2``), empty for none.

    Only SCSI and IDE disks have numbers of their own (Documentation/admin-guide/devices.txt).
    """
    if not _NUMBERS.match(value):
        return ""
    if ":" in value:
        major, minor = (int(part) for part in value.split(":"))
    else:
        major, minor = divmod(int(value, 16), 256)
    if major == 8 and minor < 256:
        return f"/dev/sd{chr(ord('a') + minor // 16)}{minor % 16 or ''}"
    first = {3: "a", 22: "c"}.get(major, "")
    return f"/dev/hd{chr(ord(first) + minor // 64)}{minor % 64 or ''}" if first and minor < 128 else ""


@mutable
class DeviceChange:
    """Turns device names in arguments into UUIDs, or PARTUUIDs where no initrd would find a UUID.

    ``unresolved`` and ``reported`` gather what could not be changed, as whole arguments, ``removed`` and ``stale`` what
    was taken out, since its volume (of the swap area, of what dracut opens) did not come along. With
    ``udev_links`` a UUID is written as its link in /dev/disk, which every initrd with udev knows.
    """

    table: Mapping[str, str]
    partuuids: Mapping[str, str]
    udev_links: bool = False
    initrd: bool = True
    gone: Callable[[str], bool] = lambda _: False
    is_old: Callable[[str], bool] = devices.is_unstable
    unresolved: dict[str, None] = field(default_factory=dict)
    reported: dict[str, None] = field(default_factory=dict)
    removed: dict[str, None] = field(default_factory=dict)
    stale: dict[str, None] = field(default_factory=dict)

    def trial(self) -> DeviceChange:
        """Return the same change, with nothing gathered yet."""
        return replace(self, unresolved={}, reported={}, removed={}, stale={})

    def __call__(self, texts: Sequence[str], line: ArgLine) -> Rewrite:
        """Return what becomes of one place's arguments."""
        found = Rewrite()
        has_initrd = self.initrd if line.initrd is None else line.initrd
        table = self.table if has_initrd else self.partuuids
        volumes = functools.cache(lambda: devices.Resolver(table, [value_of(text) for text in texts]))
        for at, text in enumerate(texts):
            name, value = name_of(text), value_of(text)
            if name in DEVICE_ARGUMENTS and value:
                after = self._device(name, value, has_initrd, volumes)
                if after is None or after != value:
                    found.replace[at] = None if after is None else f"{name}={after}"
            elif name in STACKED and self.gone(stacked(name, value)):
                self.stale[text] = None
                found.replace[at] = None
            elif name == "resume_offset" and any(text is None for text in found.replace.values()):
                found.replace[at] = None
            elif name in REPORTED_ARGUMENTS and devices.is_unstable(value.partition(":")[0]):
                self.reported[text] = None
        return found

    def _device(self, name: str, value: str, initrd: bool, volumes: Callable[[], devices.Resolver]) -> str | None:
        if name in ("resume", "real_resume") and self.gone(value):
            self.removed[f"{name}={value}"] = None
            return None
        tag, device = devices.tag(value), by_number(value) or value
        if not initrd and name == "root" and tag.startswith("UUID="):
            return self._by_partition(tag) or value
        if not self.is_old(device) and tag not in self.table:
            if name == "root" and _NUMBERS.match(value):
                self.unresolved[f"{name}={value}"] = None
            return value
        found = self.table[tag] if tag in self.table else volumes().find(device)
        if found is None:
            self.unresolved[f"{name}={value}"] = None
            return value
        tag, _, identity = found.partition("=")
        return f"/dev/disk/by-{tag.lower()}/{identity}" if self.udev_links and initrd else found

    def _by_partition(self, uuid: str) -> str | None:
        """Return the PARTUUID of the partition with a filesystem's UUID, by which the kernel itself finds it."""
        return next(
            (self.partuuids[name] for name, tag in self.table.items() if tag == uuid and name in self.partuuids), None
        )


def console(wanted: str) -> Change:
    """Make the kernel's messages go to a serial console too, ``ttyS0,115200n8``; see :func:`ensure`."""
    return ensure([f"console={wanted}"])


def unblock(drivers: Sequence[str]) -> Change:
    """Let drivers load that the arguments forbid: modprobe.blacklist=, rd.driver.blacklist= and the like."""
    needed = {name.replace("-", "_") for name in drivers}
    lists = ("modprobe.blacklist", "rd.driver.blacklist", "module_blacklist", "rdblacklist", "rd.blacklist")

    def change(texts: Sequence[str], line: ArgLine) -> Rewrite:
        found = Rewrite()
        for at, text in enumerate(texts):
            name, value = name_of(text), value_of(text)
            module, dot, option = name.rpartition(".")
            if dot and option == "blacklist" and module.replace("-", "_") in needed:
                found.replace[at] = None
            elif name in lists:
                kept = [one for one in value.split(",") if one.replace("-", "_") not in needed]
                if len(kept) != len(value.split(",")):
                    found.replace[at] = f"{name}={','.join(kept)}" if kept else None
        return found

    return change


REPEATED = (
    "bond", "bridge", "console", "earlycon", "hugepages", "hugepagesz", "ifname", "ip", "memmap", "modprobe.blacklist",
    "module_blacklist", "nameserver", "rd.driver.blacklist", "rd.driver.post", "rd.driver.pre", "rd.luks.key",
    "rd.luks.name", "rd.luks.options", "rd.luks.uuid", "rd.lvm.lv", "rd.lvm.vg", "rd.md.uuid", "rd.peerdns", "rd.route",
    "rd.znet", "systemd.mask", "systemd.setenv", "systemd.wants", "team", "vlan",
)  # fmt: skip
"""Arguments that count each time they are given (kernel-parameters, dracut.cmdline(7), kernel-command-line(7))."""


def ensure(words: Sequence[str]) -> Change:
    """Make arguments say these words; one of the same name with another value is replaced.

    What may be given several times is added to the others. A console on a port that has one stays as it is, whatever
    its speed; where there is no console argument at all, the screen stays one too (``console=tty0`` first).
    """

    def change(texts: Sequence[str], line: ArgLine) -> Rewrite:
        found = Rewrite()
        for word in words:
            name = name_of(word)
            if name == "console":
                found.add += _console(word, [*texts, *found.add])
            elif any(same_name(name, one) for one in REPEATED):
                found.add += [] if word in texts else [word]
            else:
                same = [at for at, text in enumerate(texts) if same_name(name_of(text), name)]
                if not same:
                    found.add.append(word)
                elif texts[same[-1]] != word:
                    found.replace[same[-1]] = word
        return found

    return change


def port_of(word: str) -> str:
    """Return the port of a console argument: ``ttyS0`` of ``console=ttyS0,115200n8``."""
    return value_of(word).partition(",")[0]


def _console(word: str, texts: Sequence[str]) -> list[str]:
    """Return the words to add so that there is this console."""
    port = port_of(word)
    ports = [port_of(text) for text in texts if name_of(text) == "console"]
    if port in ports:
        return []
    return [word] if ports or port == "tty0" else ["console=tty0", word]


def remove(words: Sequence[str]) -> Change:
    """Make these words go: ``net.ifnames=0`` goes, ``net.ifnames=1`` stays; ``console=*`` is every value."""
    names = [word.removesuffix("=*") for word in words if word.endswith("=*")]

    def gone(text: str) -> bool:
        return text in words or any(same_name(name_of(text), name) for name in names)

    def change(texts: Sequence[str], line: ArgLine) -> Rewrite:
        return Rewrite({at: None for at, text in enumerate(texts) if gone(text)})

    return change


def exchange(old: str, new: str) -> Change:
    """Make every argument that is just this word another one; one with another value stays."""

    def change(texts: Sequence[str], line: ArgLine) -> Rewrite:
        return Rewrite({at: new for at, text in enumerate(texts) if text == old})

    return change


_RELEASE = regex(r"(\d+)\.(\d+)")


def for_kernel(words: Sequence[str], release: str, own_wide: Sequence[str] = ()) -> list[str]:
    """Return a target's arguments as a kernel of this release takes them.

    nvme_core.io_timeout was one byte before 4.15 (a larger value keeps the module from loading), and the
    parameter was the nvme module's before 4.5; a distribution's own kernels may have the wide one earlier:
    ``own_wide`` are globs for their releases. Sources: the kernel's drivers/nvme/host; EC2 user guide, section
    "NVMe I/O timeout".
    """
    match = _RELEASE.search(release)
    version = (int(match[1][:6]), int(match[2][:6])) if match else (0, 0)
    wide = version >= (4, 15) or any(name_matcher(one)(release) for one in own_wide)
    found: list[str] = []
    for word in words:
        if name_of(word) != "nvme_core.io_timeout" or wide:
            found.append(word)
        else:
            value = value_of(word)
            small = value if value.isdigit() and int(value[:12]) < 255 else "255"
            found += [f"nvme_core.io_timeout={small}"]
            found += [f"nvme.io_timeout={small}"] if version < (4, 5) else []
    return found


def _longer(texts: Sequence[str], word: str) -> bool:
    """Tell whether the arguments have a timeout that is as long already; it is never shortened."""
    if not name_of(word).endswith("io_timeout"):
        return False
    values = [value_of(text) for text in texts if same_name(name_of(text), name_of(word))]
    return any(one.isdigit() and int(one[:12]) >= int(value_of(word)[:12]) for one in values)


def ensure_for_kernel(words: Sequence[str], default_release: str, own_wide: Sequence[str] = ()) -> Change:
    """Make arguments say a target's words, in the form that each place's own kernel takes (see for_kernel)."""

    def change(texts: Sequence[str], line: ArgLine) -> Rewrite:
        release = release_in(line.kernel) if _RELEASE.search(release_in(line.kernel)) else default_release
        wanted = [word for word in for_kernel(words, release, own_wide) if not _longer(texts, word)]
        return ensure(wanted)(texts, line)

    change.per_kernel = True  # type: ignore[attr-defined]
    return change
