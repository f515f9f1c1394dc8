"""Kernel arguments that the next grub-mkconfig or kernel-install would lose, because only their output has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from guestfix.actions.boot.args import MAIN_DEFAULTS, Source, sources
from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.boot import BOOT_DEFAULT
from guestfix.base.catalog.records.boot import MenuEntry
from guestfix.base.errors import EditError
from guestfix.base.facts import Evidence
from guestfix.base.patterns import regex
from guestfix.editors.boot import args as bootargs
from guestfix.formats import shellvars
from guestfix.formats.boot import argplaces, cmdline
from guestfix.formats.boot.cmdline import ArgLine, Rewrite

KERNEL_INSTALL = "/etc/kernel/cmdline"
_CODE = regex(r"\$\(|`|\$\{?(?!GRUB_CMDLINE)[A-Za-z_]")
"""In a value: what comes from a program, or from a variable that is none of GRUB's arguments."""

_MADE_BY_MKCONFIG = ("root", "ro", "rw", "rootflags", "rootfstype", "zfs")
_MADE = ("BOOT_IMAGE", "initrd", "single", "recovery", "vt.handoff", "LANG")
"""What loaders, grubby and kernel-install write by themselves, or for one entry alone."""


def fix_sources(bench: Workbench) -> None:
    """Make /etc/default/grub and /etc/kernel/cmdline name every argument that the default entry has.

    An argument that a source gives another value is the administrator's newer choice, and stays. What a
    source has and the entry has not is told.
    """
    default = bench.facts.value(BOOT_DEFAULT)
    if default is None or default.loader not in ("grub2", "bls"):
        return
    known = list(sources(bench))
    tuned = _tuned(known)
    args = [word for word in default.args if word not in tuned]
    defaults = [one for one in known if one.form == "default" and "grub" in one.path]
    if any(one.path == MAIN_DEFAULTS for one in defaults):
        _mend(bench, defaults, args, default, made=_MADE_BY_MKCONFIG + _MADE)
    kernel = [one for one in known if one.path == KERNEL_INSTALL]
    if kernel and default.loader == "bls":
        _mend(bench, kernel, args, default, made=_MADE)


def _tuned(known: list[Source]) -> set[str]:
    """Return the arguments that tuned keeps in a variable of its own; it rewrites them by itself."""
    loader = [one for one in known if one.form in ("grubcfg", "grubenv")]
    lines = [line for one in loader for line in argplaces.lines_of(one.src, one.form)]
    return {text for line in lines if not line.takes_more for text in line.texts()}


def _words(group: list[Source]) -> list[str]:
    return [text for one in group for line in argplaces.lines_of(one.src, one.form) for text in line.texts()]


def _mend(bench: Workbench, group: list[Source], args: list[str], default: MenuEntry, made: tuple[str, ...]) -> None:
    have = dict.fromkeys(_words(group))
    missing = [word for word in dict.fromkeys(args) if word not in have and cmdline.name_of(word) not in made]
    lost = [word for word in missing if not _said_otherwise(word, have) and not _without_initrd(bench, word, default)]
    code = _in_code(group)
    by_code = _by_code(bench, group, lost)
    lost = [word for word in lost if word not in by_code]
    if lost:
        plural, again = ("s", "them") if len(lost) > 1 else ("", "it")
        would = f"would be lost, unless code makes {again}," if code else "would be lost"
        bench.find(
            "GF-BOOT-ARGS-LOST",
            "info",
            f"{len(lost)} kernel argument{plural} {would} with the next menu or kernel, "
            f"so {group[0].path if len(group) == 1 else MAIN_DEFAULTS} gets them: {' '.join(lost)}",
            Evidence(default.path, default.line, " ".join(args)),
        )
        _add(bench, group, lost)
    if code or by_code:
        names = ", ".join(dict.fromkeys(one.text.partition("=")[0] for one in code)) or "kernel arguments"
        code = list(dict.fromkeys([*code, *by_code.values()]))
        summary = f"code makes {names}, so that what the next grub-mkconfig takes from there can't be told"
        summary += f"; it has {' '.join(by_code)}" if by_code else ""
        bench.find("GF-BOOT-ARGS-CODE", "info", summary, *code[:8])
    given = set(args)
    pending = [word for word in have if word not in given and "$" not in word and "`" not in word]
    if pending and not code:
        bench.find(
            "GF-BOOT-ARGS-PENDING",
            "info",
            f"arguments that the default entry does not have yet: {' '.join(pending)}",
            Evidence(group[0].path),
            remedy="they come with the next grub-mkconfig or kernel, which guestfix does not run",
        )


def _by_code(bench: Workbench, group: list[Source], lost: list[str]) -> dict[str, Evidence]:
    """Return those arguments that code has which grub-mkconfig runs or reads, and where."""
    texts = [(one.path, one.src) for one in group if one.form == "default"]
    if not lost or not texts:
        return {}
    from guestfix.actions.boot.code import written  # in few guests anything is lost

    known = written(bench, texts)
    return {word: known[word] for word in lost if word in known}


def _in_code(group: list[Source]) -> list[Evidence]:
    """Return the assignments of arguments that a program, another variable or a condition decides."""
    return [
        Evidence(one.path, said.line, f"{said.name}={said.value[:200]}")
        for one in group
        if one.form == "default"
        for said in shellvars.assignments(one.src)
        if said.name.startswith("GRUB_CMDLINE") and (not said.sure or (said.dynamic and _CODE.search(said.value)))
    ]


def _said_otherwise(word: str, have: Iterable[str]) -> bool:
    """Tell whether the source gives this argument another value. Some may be given several times.

    A console counts by its port, as :func:`bootargs.ensure` sees it: where the source has that port, or any console
    while only the screen is asked for, nothing is lost.
    """
    name = cmdline.name_of(word)
    if name == "console":
        ports = {bootargs.port_of(one) for one in have if cmdline.name_of(one) == "console"}
        return bool(ports) and bootargs.port_of(word) in (*ports, "tty0")
    return any(cmdline.name_of(one) == name for one in have) and name not in (*bootargs.REPEATED, "rd_LVM_LV")


def _without_initrd(bench: Workbench, word: str, default: MenuEntry) -> bool:
    """Tell whether an argument is what mkconfig writes for a first try without an initramfs (GRUB_FORCE_PARTUUID)."""
    if word != "panic=-1":
        return False
    menu = bench.fs.content(default.path)
    return isinstance(menu, bytes) and b"initrdfail" in menu


def _add(bench: Workbench, group: list[Source], words: list[str]) -> None:
    chosen = next((one for one in group if one.path in (MAIN_DEFAULTS, KERNEL_INSTALL)), group[0])
    done = False

    def change(texts: Sequence[str], line: ArgLine) -> Rewrite:
        nonlocal done
        first, done = not done and line.takes_more, done or line.takes_more
        return Rewrite(add=words if first else [])

    try:
        after = argplaces.rewrite(chosen.src, chosen.form, change)
        if not done and chosen.form == "default" and shellvars.find(after, "GRUB_CMDLINE_LINUX") is None:
            from guestfix.actions.boot.code import assign

            after = assign(after, "GRUB_CMDLINE_LINUX", " ".join(words))
    except EditError:
        return
    if after != chosen.src:
        bench.fs.put(chosen.path, after)
