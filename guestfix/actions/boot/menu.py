"""Which entry boots: repaired where the settings name none, or one that can't boot."""

from __future__ import annotations

from guestfix.actions.workbench import Workbench
from guestfix.base.catalog.facts.boot import (
    BOOT_CONFIGS,
    BOOT_DEFAULT,
    BOOT_DEFAULT_REASON,
    BOOT_ENTRIES,
    BOOT_ENV_BLOCK,
    BOOT_ESP,
    BOOT_FIRMWARES,
    BOOT_LOADERS,
    BOOT_SOURCES,
)
from guestfix.base.catalog.facts.system import COMPAT_KERNELS, SYSTEM_DOM0, SYSTEM_GRUB_BY_FIRMWARE
from guestfix.base.catalog.records.boot import MenuEntry
from guestfix.base.edit import Link, Splice, apply_splices, insert_lines
from guestfix.base.errors import EditError
from guestfix.base.facts import Evidence
from guestfix.base.patterns import regex
from guestfix.base.versions import version_key
from guestfix.detect.initramfs.check import VERDICTS
from guestfix.editors.boot import menu as bootmenu
from guestfix.formats import shellvars
from guestfix.formats.boot import grubcfg, grubenv, grublegacy
from guestfix.formats.boot.entry import release_in

_SAVED = regex(rb"set\s+default=[\"']?\$\{?saved_entry")


def repair_default(bench: Workbench) -> None:
    """Make the default entry one that boots: its files exist, it is supported, no rescue or Xen-only kernel.

    A default that does so stays. Otherwise the newest kernel that does is chosen, supported ones first,
    and every setting that named the old one names it: grubenv, grub.cfg, menu.lst, loader.conf,
    GRUB_DEFAULT. An unsupported kernel stays where no supported one is installed.
    """
    facts = bench.facts
    default = facts.value(BOOT_DEFAULT)
    entries = [entry for entry in facts.value(BOOT_ENTRIES, []) if not _problem(bench, entry)]
    supported = [entry for entry in entries if not _unsupported(bench, entry)]
    problem = facts.value(BOOT_DEFAULT_REASON, "") or _problem(bench, default)
    if not problem and default and supported and _unsupported(bench, default):
        problem = f"the compatibility table does not have the kernel {_release(default)}"
    if not problem:
        return
    if not entries:
        bench.find(
            "GF-BOOT-NO-ENTRY",
            "warning",
            f"{problem}, and no other entry can be chosen: none has a kernel file that is there",
            *facts.evidence(BOOT_DEFAULT),
            remedy="see that /boot is complete, then regenerate the menu in the guest",
        )
        return
    order = {id(entry): -at for at, entry in enumerate(entries)}
    chosen = max(supported or entries, key=lambda entry: (version_key(_release(entry)), order[id(entry)]))
    if _set_default(bench, chosen):
        bench.follow_up(f"the default boot entry is now {chosen.title!r}: {problem}")


def _unsupported(bench: Workbench, entry: MenuEntry) -> bool:
    """Tell whether the compatibility table has this system, but not with this kernel."""
    return bool(bench.facts.value(COMPAT_KERNELS, {}).get(_release(entry)) == "unsupported")


def _release(entry: MenuEntry) -> str:
    return release_in(entry.kernel)


def _problem(bench: Workbench, entry: MenuEntry | None) -> str:
    """Return why an entry can't be what boots, or empty."""
    if entry is None:
        return "the default entry can't be told"
    kernel = entry.kernel
    if not kernel:
        return f"the entry {entry.title!r} loads no Linux kernel"
    marks = f"{entry.id} {entry.title} {kernel}".lower()
    if any(mark in marks for mark in ("rescue", "recovery", "single-user", "failsafe")) or "single" in entry.args:
        return f"the default entry {entry.title!r} is for rescue"
    if "xen" in kernel.rpartition("/")[2] and not bench.facts.value(SYSTEM_DOM0):
        return f"the default kernel {kernel} runs on a Xen hypervisor only"
    for path in (kernel, *entry.initrd):
        if bench.fs.stat(path) is None:
            return f"the default entry {entry.title!r} loads {path}, which is not there"
    return _bad_image(bench, entry)


def _bad_image(bench: Workbench, entry: MenuEntry) -> str:
    """Return why an entry's initramfs can't lead to the root on the target, whatever a plan adds; or empty."""
    if not entry.initrd:
        return _bare_kernel(bench, entry)
    for one in bench.facts.value(VERDICTS, []) if entry.loader != "uki" else ():
        if one.path not in entry.initrd:
            continue
        if one.broken:
            return f"the initramfs {one.path} of the default entry {entry.title!r} can't be read: {one.problem}"
        lacks = one.absent or (one.missing if one.sealed else [])
        if lacks and ((one.kernel and one.kernel.builtin_known) or one.sealed):
            return (
                f"the default kernel {_release(entry)} lacks {', '.join(lacks)}, without which {bench.target.id} has "
                "no disk, and nothing in the guest can be added"
            )
    return ""


def _bare_kernel(bench: Workbench, entry: MenuEntry) -> str:
    """Return why an entry without an initramfs can't lead to the root, and no image is there to help; or empty."""
    from guestfix.detect.initramfs.bare import bare, image_for  # few entries load none

    found = bare(bench.fs, bench.facts, bench.target, entry)
    if found and found.lacks and not image_for(bench.fs, bench.facts, entry):
        return f"the default entry {entry.title!r} loads no initramfs, there is none for it, and {found.why}"
    return ""


def _set_default(bench: Workbench, entry: MenuEntry) -> bool:
    if entry.loader == "grub-legacy":
        return _set_legacy(bench, entry)
    if entry.loader in ("systemd-boot", "uki"):
        return _set_loader_conf(bench, entry)
    if entry.loader in ("grub2", "bls"):
        return _set_grub2(bench, entry)
    if entry.loader == "extlinux" and _set_syslinux(bench, entry):
        return True
    bench.find(
        "GF-BOOT-DEFAULT-LOADER",
        "warning",
        f"the default of this loader can't be changed; {entry.title!r} would boot",
        Evidence(entry.path, entry.line),
        remedy="set DEFAULT in its configuration",
    )
    return False


def _used_config(bench: Workbench) -> str:
    return next((one.path for one in bench.facts.value(BOOT_CONFIGS, []) if one.used), "")


def _set_grub2(bench: Workbench, entry: MenuEntry) -> bool:
    path = _used_config(bench)
    content = bench.fs.content(path) if path else None
    if not isinstance(content, bytes):
        return False
    if _SAVED.search(content):
        done = _set_saved_entry(bench, path, entry)
    else:
        new, literal = grub_word(entry.id), _default_literals(content)
        splices = [Splice(at, end - at, new) for at, end in literal] or [
            insert_lines(content, 0, b"set default=" + new)
        ]
        bench.fs.put(path, apply_splices(content, splices))
        done = True
    if done:
        _set_grub_default(bench, entry)
    return done


def grub_word(text: str) -> bytes:
    """Return a text as one word of grub.cfg, in double quotes as mkconfig writes the default."""
    raw = shellvars.encode(text)
    return b"'" + raw + b"'" if any(char in raw for char in b'"$\\') and b"'" not in raw else b'"' + raw + b'"'


def _default_literals(src: bytes) -> list[tuple[int, int]]:
    """Return where ``set default=`` says something without an expansion, rollbacks by boot_counter aside."""
    found, todo = [], list(grubcfg.parse(src).nodes)
    while todo:
        one = todo.pop()
        for condition, body in one.branches or ():
            if b"boot_counter" not in (src[condition[0].start : condition[-1].rest_end] if condition else b""):
                todo += body
        text = src[one.rest_start : one.rest_end].lstrip()
        if one.name == b"set" and text.startswith(b"default=") and b"$" not in text:
            start = one.rest_end - len(text) + len(b"default=")
            found.append((start, start + len(text.rstrip()) - len(b"default=")))
    return sorted(found)


def _set_saved_entry(bench: Workbench, config: str, entry: MenuEntry) -> bool:
    path = bench.facts.value(BOOT_ENV_BLOCK) or f"{config.rpartition('/')[0]}/grubenv"
    content = bench.fs.content(path)
    if isinstance(content, Link):
        bench.find(
            "GF-BOOT-ENV-UNSEEN",
            "warning",
            "saved_entry could not be set: the environment block lies on a filesystem that can't be seen",
            Evidence(path, 0, content.target),
            remedy="give guestfix the EFI system partition too, or run grub2-set-default in the guest",
        )
        return False
    try:
        block = content if isinstance(content, bytes) and grubenv.is_block(content) else grubenv.create({})
        block = grubenv.unset(block, "next_entry")
        block = grubenv.set_value(block, "saved_entry", entry.id)
    except EditError as error:
        bench.find("GF-BOOT-ENV-FULL", "warning", f"saved_entry could not be set: {error.what}", Evidence(path))
        return False
    if block != content:
        bench.fs.put(path, block, mode=None if content is not None else 0o600)
    return True


def _set_grub_default(bench: Workbench, entry: MenuEntry) -> None:
    """Make GRUB_DEFAULT agree where it names an entry itself."""
    path = "/etc/default/grub"
    content = bench.fs.content(path)
    found = shellvars.find(content, "GRUB_DEFAULT") if isinstance(content, bytes) else None
    if isinstance(content, bytes) and found and not found.dynamic and found.value not in ("saved", "0", ""):
        bench.fs.put(path, shellvars.set_value(content, "GRUB_DEFAULT", entry.id))


def _set_legacy(bench: Workbench, entry: MenuEntry) -> bool:
    path = _used_config(bench)
    content = bench.fs.content(path)
    if not isinstance(content, bytes):
        return False
    number = entry.id.encode()
    known = [one for one in grublegacy.parse(content).commands if one.name == "default"]
    splices = [Splice(one.start, one.end - one.start, number) for one in known] or [
        insert_lines(content, 0, b"default=%s" % number)
    ]
    bench.fs.put(path, apply_splices(content, splices))
    return True


def _set_syslinux(bench: Workbench, entry: MenuEntry) -> bool:
    """Make every file that the menu is made of, and what update-extlinux makes it from, name the label."""
    from guestfix.editors.boot.syslinux import set_default as set_syslinux_default  # only such a menu needs it

    labels = {one.id for one in bench.facts.value(BOOT_ENTRIES, [])}
    done = False
    for one in bench.facts.value(BOOT_SOURCES, []):
        content = bench.fs.content(one.path) if one.form in ("syslinux", "update-extlinux") else None
        if not isinstance(content, bytes):
            continue
        if one.form == "syslinux":
            after = set_syslinux_default(content, entry.id, labels)
        else:
            found = shellvars.find(content, "default")
            same = found is None or found.dynamic
            after = content if same else shellvars.set_value(content, "default", entry.id)
        if after != content:
            bench.fs.put(one.path, after)
            done = True
    return done


def _set_loader_conf(bench: Workbench, entry: MenuEntry) -> bool:
    base = entry.path.rpartition("/loader/")[0] or str(bench.facts.value(BOOT_ESP, ""))
    path, name = f"{base}/loader/loader.conf", shellvars.encode(entry.id)
    content = bench.fs.content(path)
    src = content if isinstance(content, bytes) else b""
    lines = [line for line in src.splitlines(keepends=True) if line.split()[:1] != [b"default"]]
    suffix = b"" if entry.loader == "uki" else b".conf"
    rest = b"".join(lines)
    bench.fs.put(path, apply_splices(rest, [insert_lines(rest, 0, b"default " + name + suffix)]))
    return True


def use_firmware_commands(bench: Workbench) -> None:
    """Make entries load their kernel with commands that the guest's firmware has.

    linux16 exists on a BIOS only, linuxefi on UEFI only; nothing changes in a guest that can boot by both.
    """
    facts = bench.facts
    path, firmwares = _used_config(bench), facts.value(BOOT_FIRMWARES, [])
    content = bench.fs.content(path) if path else None
    if len(firmwares) != 1 or not isinstance(content, bytes) or "grub2" not in facts.value(BOOT_LOADERS, []):
        return
    wrong = b"linux16" if firmwares == ["uefi"] else b"linuxefi"
    if not any(node.name == wrong for node in grubcfg.parse(content).walk()):
        return
    pair = ("linux", "initrd")
    if facts.value(SYSTEM_GRUB_BY_FIRMWARE):
        pair = ("linuxefi", "initrdefi") if firmwares == ["uefi"] else ("linux16", "initrd16")
    after = bootmenu.loader_commands(content, linux=pair[0], initrd=pair[1])
    if isinstance(after, bytes) and after is not content:
        bench.fs.put(path, after)
