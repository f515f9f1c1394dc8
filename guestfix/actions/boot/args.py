"""Kernel arguments, changed alike in every place that holds them, so that no later step undoes the change.

The places are the fact boot.sources; grub-mkconfig is never run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from guestfix.actions.boot.variables import rewrite_block, rewrite_variables, used_variables
from guestfix.actions.workbench import Workbench
from guestfix.base.bounds import MENU, SMALL_TEXT
from guestfix.base.catalog.facts.boot import BOOT_DEFAULT, BOOT_SOURCES
from guestfix.base.catalog.facts.storage import (
    DISKS_COMPLETE,
    DISKS_DOUBTFUL,
    DISKS_KNOWN,
    DISKS_OLD_NAMES,
    DISKS_PARTUUID_BY_DEVICE,
    DISKS_SPECS,
    DISKS_TAGGED,
    DISKS_UUID_BY_DEVICE,
)
from guestfix.base.catalog.facts.system import KERNEL_DEFAULT, SYSTEM_INITRAMFS, SYSTEM_WIDE_NVME_TIMEOUT
from guestfix.base.catalog.records.boot import MenuEntry
from guestfix.base.errors import EditError
from guestfix.base.facts import Evidence
from guestfix.base.globs import text_matcher
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.editors.boot import args as bootargs
from guestfix.formats import shellvars
from guestfix.formats.boot import argplaces, cmdline
from guestfix.formats.boot.cmdline import ArgLine, Change, Rewrite
from guestfix.formats.boot.entry import release_in
from guestfix.formats.storage import devices
from guestfix.formats.storage.known import Known, known

UDEV_LINKS = "mkinitrd-suse"
"""The maker of initramfs images that know devices by their udev links."""

MAIN_DEFAULTS = "/etc/default/grub"
_WORD = regex(r"[^\s\x00-\x20\x7f\"'\\$`]{1,1000}\Z")


@frozen
class Source:
    """A file with kernel arguments as it stands now."""

    path: str
    form: str
    src: bytes


def sources(bench: Workbench) -> Iterator[Source]:
    """Yield every file that holds kernel arguments, with all changes so far; unreadable ones are passed over."""
    for one in bench.facts.value(BOOT_SOURCES, []):
        content = bench.fs.content(one.path, MENU if one.form == "grubcfg" else SMALL_TEXT)
        if isinstance(content, bytes):
            yield Source(one.path, one.form, content)


def change_all(bench: Workbench, change: Change) -> None:
    """Do one change to the arguments in every source. A source without room for it becomes a finding."""
    every = list(sources(bench))
    shared = _words_of_defaults(every)
    has_main = any(one.path == MAIN_DEFAULTS for one in every)
    blocks = any(one.form == "envfile" for one in every)
    names = used_variables(one.src for one in every if one.form == "grubcfg") if blocks else {}
    for one in every:
        here = change
        if one.form == "default":
            here = _with_context(change, shared, one.path == MAIN_DEFAULTS or not has_main)
        try:
            after = argplaces.rewrite(one.src, one.form, here)
            if one.form == "grubcfg":
                after = rewrite_variables(after, here)
            if one.form == "envfile":
                after = rewrite_block(after, names, here)
            if one.path == MAIN_DEFAULTS:
                after = _add_assignment(after, here, shared)
        except EditError as error:
            _report_refusal(bench, one, error)
            continue
        if after is not one.src and after != one.src:
            bench.fs.put(one.path, after)


def _report_refusal(bench: Workbench, source: Source, error: EditError) -> None:
    bench.find(
        "GF-BOOT-ENV-FULL" if source.form == "grubenv" else "GF-BOOT-ARGS-REFUSED",
        "warning",
        f"kernel arguments could not be changed: {error.what}",
        Evidence(source.path),
        remedy=error.remedy or "shorten the arguments in it (grub2-editenv), or write them into the entries themselves",
    )


def _words_of_defaults(known: Iterable[Source]) -> list[str]:
    """Return all arguments that grub-mkconfig would put together from several assignments and files."""
    return [
        text
        for one in known
        if one.form == "default"
        for line in argplaces.lines_of(one.src, one.form)
        for text in line.texts()
    ]


def _with_context(change: Change, shared: list[str], adds: bool) -> Change:
    """Add only what none of the assignments has; replace and remove in each."""

    def wrapped(texts: Iterable[str], line: ArgLine) -> Rewrite:
        found = change(list(texts), line)
        found.add = change(shared, line).add if adds and line.takes_more else []
        return found

    return wrapped


def _add_assignment(src: bytes, change: Change, shared: list[str]) -> bytes:
    """Write GRUB_CMDLINE_LINUX where arguments must be added and no assignment can take them."""
    if any(line.takes_more for line in argplaces.lines_of(src, "default")):
        return src
    if shellvars.find(src, "GRUB_CMDLINE_LINUX") is not None:
        return src
    empty = ArgLine((), 0, 0, 0)
    add = change(shared, empty).add
    if not add:
        return src
    from guestfix.actions.boot.code import assign  # few guests lack the assignment

    return assign(src, "GRUB_CMDLINE_LINUX", " ".join(add))


# actions


def set_devices(bench: Workbench) -> None:
    """Make root=, resume= and the like say UUIDs where they say device names, in every source.

    A resume device that did not come along is removed. What can't be told becomes a finding; for the
    root of the entry that boots it is a blocker where the target names disks otherwise.
    """
    facts = bench.facts
    default, names = facts.value(BOOT_DEFAULT), _names(bench)
    change = bootargs.DeviceChange(
        facts.value(DISKS_UUID_BY_DEVICE, {}),
        facts.value(DISKS_PARTUUID_BY_DEVICE, {}),
        udev_links=facts.value(SYSTEM_INITRAMFS) == UDEV_LINKS,
        initrd=default is None or bool(default.initrd) or default.loader == "uki",
        gone=names.is_gone,
        is_old=names.is_old,
    )
    before = list(sources(bench))
    change_all(bench, change)
    named = [cmdline.value_of(arg) for arg in (default.args if default else ()) if _is_device(arg)]
    if default and default.loader in ("grub2", "bls") and any(change.is_old(value) for value in named):
        from guestfix.actions.boot.computed import write_out  # few entries name old devices

        write_out(bench, change)
    _report_variables(bench, before, change)
    _report_devices(bench, before, change, default)
    _report_image(bench, default)


def _is_device(arg: str) -> bool:
    return cmdline.name_of(arg) in bootargs.DEVICE_ARGUMENTS and bool(cmdline.value_of(arg))


def _report_variables(bench: Workbench, before: Iterable[Source], change: Change) -> None:
    """Tell which variables of a menu named devices; their entries are right only as they are evaluated."""
    for path, src in ((one.path, one.src) for one in before if one.form == "grubcfg"):
        after = rewrite_variables(src, change)
        lines = zip(src.splitlines(), after.splitlines(), strict=False) if after is not src else ()
        for number, (old, new) in enumerate(lines, 1):
            if old != new:
                bench.find(
                    "GF-BOOT-VARIABLE",
                    "info",
                    f"the menu takes a device from a variable: {shellvars.decode(old).strip()}",
                    Evidence(path, number, shellvars.decode(old).strip()),
                )


def _names(bench: Workbench) -> Known:
    """Return what is known of the guest's volumes."""
    value = bench.facts.value
    told = bool(value(DISKS_KNOWN)) and bool(value(DISKS_TAGGED)), bool(value(DISKS_COMPLETE))
    names = value(DISKS_DOUBTFUL, []), value(DISKS_OLD_NAMES, [])
    return known(value(DISKS_UUID_BY_DEVICE, {}), value(DISKS_SPECS, []), *told, *names)


def _report_devices(
    bench: Workbench, before: Sequence[Source], change: bootargs.DeviceChange, default: MenuEntry | None
) -> None:
    """Tell what was taken out and what could not be changed; ``before`` are the sources as they were."""
    for word in change.removed:
        bench.follow_up(f"{word} was removed from the kernel arguments: that swap volume did not come along")
    for word in change.stale:
        bench.find(
            "GF-BOOT-STALE-VOLUME",
            "warning",
            f"{word} was removed from the kernel arguments: the boot would wait for a volume that did not come along",
            *_places(before, word),
        )
    booted = change.trial()
    if default and default.loader != "uki":
        booted(list(default.args), ArgLine((), 0, 0, 0, initrd=bool(default.initrd)))
    for word in change.unresolved | booted.unresolved:
        vital = word.startswith("root=") and word in booted.unresolved
        bench.find(
            "GF-BOOT-ROOT-UNRESOLVED" if vital else "GF-BOOT-DEVICE-UNRESOLVED",
            "blocker" if vital and not _same_name_on_target(bench, word) else "warning",
            f"the kernel argument {word} names a device, and its UUID isn't known",
            *([Evidence(default.path, default.line, word)] if default and vital else _places(before, word)),
            remedy=_describe(bench, word),
        )
    for word in change.reported:
        bench.find(
            "GF-BOOT-CRYPT-DEVICE",
            "warning",
            f"the kernel argument {word} names a device in a form that guestfix leaves alone",
            *_places(before, word),
            remedy="write its UUID there yourself: cryptdevice=UUID=...:name",
        )


def _describe(bench: Workbench, word: str) -> str:
    """Return what makes an argument's device known, as a description of the disks can say it."""
    if not bench.facts.value(DISKS_KNOWN):
        return "describe the guest's disks with --disks, so that the volume's UUID is known"
    value = cmdline.value_of(word)
    return f"give its volume this name too in the description of the disks (--disks): aliases: [{value}]"


def _report_image(bench: Workbench, default: MenuEntry | None) -> None:
    """Report device names in the arguments of a unified kernel image, which can't be changed."""
    if default is None or default.loader != "uki":
        return
    for word in default.args:
        name, value = cmdline.name_of(word), cmdline.value_of(word)
        if name in bootargs.DEVICE_ARGUMENTS and devices.is_unstable(value):
            vital = name == "root" and not _same_name_on_target(bench, word)
            bench.find(
                "GF-BOOT-UKI-DEVICE",
                "blocker" if vital else "warning",
                f"the unified kernel image that boots has the argument {word} built in",
                Evidence(default.path, 0, word),
                remedy="write its UUID into /etc/kernel/cmdline in the guest and rebuild the image",
            )


def _same_name_on_target(bench: Workbench, word: str) -> bool:
    """Tell whether the target calls its disks as the argument does."""
    value = word.partition("=")[2]
    return bool(bench.target.disk_prefix) and value.startswith(f"/dev/{bench.target.disk_prefix}")


def _places(before: Iterable[Source], word: str) -> list[Evidence]:
    raw = shellvars.encode(word)
    return [
        Evidence(one.path, one.src.count(b"\n", 0, one.src.find(raw)) + 1, word) for one in before if raw in one.src
    ][:5]


def unblock_drivers(bench: Workbench, *, storage: list[str], network: list[str]) -> None:
    """Remove the target's drivers, and what they rest on, from the arguments' blacklists."""
    needed = {*storage, *network}
    for pattern, others in bench.target.tables.get("driver-needs", {}).items():
        if any(map(text_matcher(pattern), (*storage, *network))):
            needed |= set(others)
    change_all(bench, bootargs.unblock(sorted(needed)))


def add_arguments(bench: Workbench, *, words: list[str]) -> None:
    """Make every kernel get these arguments; one of the same name with another value is replaced.

    Arguments that count each time they are given (``ip=``, ``rd.lvm.lv=``) are added to the others. A console on a
    port that has one stays as it is, and the screen stays a console too.

    What a target wants of the nvme driver is written in the form that each kernel takes. Raises EditError for a word
    that can't be an argument.
    """
    if any(cmdline.name_of(word).endswith("io_timeout") for word in _checked(words)):
        default = bench.facts.value(BOOT_DEFAULT)
        release = bench.facts.value(KERNEL_DEFAULT) or release_in(default.kernel if default else "")
        wide = bench.facts.value(SYSTEM_WIDE_NVME_TIMEOUT, ())
        change_all(bench, bootargs.ensure_for_kernel(words, release, wide))
    elif words:
        change_all(bench, bootargs.ensure(words))


def remove_arguments(bench: Workbench, *, words: list[str]) -> None:
    """Make no kernel get these arguments: ``net.ifnames=0`` goes, ``net.ifnames=1`` stays, ``console=*`` is any value.

    Raises EditError for a word that can't be an argument.
    """
    if words:
        change_all(bench, bootargs.remove(_checked(words)))


def exchange_argument(bench: Workbench, *, old: str, new: str) -> None:
    """Make kernels that get the argument ``old``, word for word, get ``new`` instead; others stay.

    Raises EditError for a word that can't be an argument.
    """
    change_all(bench, bootargs.exchange(*_checked([old, new])))


def _checked(words: Sequence[str]) -> Sequence[str]:
    odd = next((word for word in words if not _WORD.match(word)), None)
    if odd is not None:
        raise EditError(f"{odd[:80]!r} can't be one argument of the kernel: it has blanks, quotes or controls in it")
    return words
