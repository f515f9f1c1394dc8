"""How the guest boots: firmware, loaders, entries, the default and the fallback, each with evidence.

Facts: boot.firmware (bios or uefi: how it booted until now), boot.firmwares (all it could boot with),
boot.esp (where the EFI system partition is mounted), boot.efi (what lies in its folders),
boot.loaders, boot.configs (every loader configuration; ``used`` marks the one that the firmware's path
reads), boot.wrapper (a grub.cfg on the EFI partition that only leads to another), boot.entries,
boot.default, boot.fallback, boot.choice (what the settings ask for), boot.default_reason (why the default
is not that, or empty), boot.env_block (GRUB's environment block), boot.sources (every file that holds
kernel arguments, with its form).
"""

from __future__ import annotations

from guestfix.base.bounds import LISTED_ENTRIES, SMALL_TEXT
from guestfix.base.catalog.facts.boot import (
    BOOT_CHOICE,
    BOOT_CONFIGS,
    BOOT_DEFAULT,
    BOOT_DEFAULT_REASON,
    BOOT_EFI,
    BOOT_ENTRIES,
    BOOT_ENV_BLOCK,
    BOOT_ESP,
    BOOT_FALLBACK,
    BOOT_FIRMWARE,
    BOOT_FIRMWARES,
    BOOT_LOADERS,
    BOOT_LOCKED,
    BOOT_SIGNED,
    BOOT_SOURCE_AMISS,
    BOOT_SOURCES,
    BOOT_WRAPPER,
)
from guestfix.base.catalog.facts.storage import FSTAB_ENTRIES
from guestfix.base.catalog.facts.system import OS_ARCH, OS_FAMILY
from guestfix.base.catalog.records.boot import ArgumentFile, BootConfig, EfiFolder, MenuEntry
from guestfix.base.facts import Evidence, Facts, Finding, Unknown
from guestfix.base.guest import GuestFS
from guestfix.base.record import field, mutable
from guestfix.detect.boot import (
    menu as boot_menu,
)
from guestfix.detect.boot import (
    others as boot_others,
)
from guestfix.detect.boot import (
    places as boot_places,
)
from guestfix.detect.boot import (
    sources as boot_sources,
)
from guestfix.detect.boot.menu import Menu
from guestfix.detect.boot.places import Config, Places
from guestfix.detect.boot.source import astray_findings, lost_of, source_findings
from guestfix.detect.boot.volumes import Volumes, volumes_of
from guestfix.detect.files import read_small
from guestfix.formats.boot import grublegacy
from guestfix.formats.boot.entry import BootEntry, all_entries
from guestfix.formats.boot.grubsearch import Search
from guestfix.pack.model import Target

MAX_FACT_ENTRIES = LISTED_ENTRIES
"""Entries that are listed in the facts; the default is found among all of them."""

MAX_REASONS = 10

WRAPPER_SIZE = 1024
"""Bytes below which a grub.cfg with a configfile command is taken for one that only leads to another."""


@mutable
class Found:
    """All that was found, before it becomes facts."""

    places: Places
    cpu: str = "x86_64"
    firmware: str = ""
    firmwares: list[str] = field(default_factory=list)
    configs: list[Config] = field(default_factory=list)
    menu: Menu | None = None
    used: Config | None = None
    wrapper: str = ""
    volumes: Volumes | None = None
    astray: tuple[str, Search] | None = None


def detect(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Record the boot.* facts of a Linux guest."""
    if facts.value(OS_FAMILY) != "linux":
        return []
    found = Found(boot_places.find_places(guest), "arm64" if facts.value(OS_ARCH) == "aarch64" else "x86_64")
    _firmware(guest, found, facts, target)
    found.configs = boot_places.grub_configs(guest, found.places, boot_places.own_folders(facts))
    found.configs += _syslinux_configs(guest, found.places)
    found.volumes = volumes_of(guest, facts)
    _choose_menu(guest, found)
    _put_loaders(guest, found, facts)
    _put_entries(found, facts)
    lost = lost_of(guest, found.menu, found.volumes) if found.menu else None
    facts.put(BOOT_SOURCE_AMISS, lost.why if lost else "")
    sources = boot_sources.find_sources(guest, found.configs, found.places, found.menu)
    facts.put(BOOT_SOURCES, [ArgumentFile(one.path, one.form) for one in sources])
    entries = list(all_entries(found.menu.entries)) if found.menu else []
    told = [*boot_sources.image_findings(guest, found.places), *boot_sources.name_findings(guest, entries)]
    if found.menu:
        told += _left_findings(found.menu, len(entries), len(sources))
        told += source_findings(found.menu, lost)
        told += astray_findings(*found.astray) if found.astray else []
    return [*_differing(guest, found), *_default_findings(found), *told]


# firmware


def _firmware(guest: GuestFS, found: Found, facts: Facts, target: Target) -> None:
    """Decide how the guest boots. Where both ways are set up, its own fstab, then the target, decide."""
    places = found.places
    mounts = [entry for entry in facts.value(FSTAB_ENTRIES, []) if entry.mount in ("/boot/efi", "/efi")]
    evidence = {"uefi": places.uefi[:3], "bios": places.bios[:3]}
    if mounts and not places.uefi:
        line = mounts[0]
        evidence["uefi"] = [Evidence("/etc/fstab", line.line, f"{line.spec} {line.mount} {line.type}")]
    found.firmwares = [name for name in ("bios", "uefi") if evidence[name]]
    if len(found.firmwares) == 2:
        wanted = [name for name in target.firmware if name in found.firmwares]
        found.firmware = wanted[0] if len(wanted) == 1 else ("uefi" if mounts else "bios")
    else:
        found.firmware = found.firmwares[0] if found.firmwares else _only_firmware(facts)
    seen = evidence[found.firmware] or [Evidence("/boot", 0, "no EFI loader and no BIOS core image can be seen")]
    facts.put(BOOT_FIRMWARE, found.firmware, *seen)
    facts.put(BOOT_FIRMWARES, found.firmwares or [found.firmware])
    facts.put(BOOT_ESP, places.esp)
    facts.put(BOOT_EFI, [EfiFolder(one.path, tuple(sorted(one.files.values()))) for one in places.efi])


def _only_firmware(facts: Facts) -> str:
    """Return the firmware of a guest that shows none: machines of Arm have had no BIOS."""
    return "uefi" if facts.value(OS_ARCH) == "aarch64" else "bios"


def _syslinux_configs(guest: GuestFS, places: Places) -> list[Config]:
    found = []
    by_uefi = boot_sources.syslinux_files(places)
    for path in (*boot_sources.SYSLINUX, *by_uefi):
        src = read_small(guest, path, SMALL_TEXT)
        if src is not None:
            found.append(Config(path, "extlinux", src, "uefi" if path in by_uefi else "bios"))
    return found


# the menu


def _choose_menu(guest: GuestFS, found: Found) -> None:
    """Take the menu of the first configuration on the firmware's path that has one, else any other's."""
    if found.firmware == "uefi" and _systemd_boot_first(found.places):
        found.menu = boot_others.systemd_boot_menu(guest, found.places.esp, boot_sources.uki_files(guest, found.places))
        if found.menu and found.menu.entries:
            return
    order = [one for one in found.configs if one.firmware == found.firmware]
    order += [one for one in found.configs if one not in order]
    best: tuple[Config, Menu] | None = None
    for config in order:
        menu = _menu_of(guest, config, found)
        best = best or (config, menu)
        lost = next((one for one in menu.lost if not menu.entries or _leads_by(config, menu, one)), None)
        if lost is not None and config.firmware == found.firmware:
            found.astray = found.astray or (config.path, lost)
        if any(entry.kernel for entry in all_entries(menu.entries)):
            best = (config, menu)
            break
    if best is None:
        found.menu = boot_others.systemd_boot_menu(guest, found.places.esp, boot_sources.uki_files(guest, found.places))
        return
    found.used, found.menu = best
    if best[1].path != best[0].path:
        found.wrapper = best[0].path
        found.used = next((one for one in found.configs if one.path == best[1].path), best[0])


def _leads_by(config: Config, menu: Menu, search: Search) -> bool:
    """Tell whether a configuration leads to the menu by this search of its own, so that one that fails ends there."""
    return menu.path != config.path and search.value.encode("utf-8", "surrogateescape") in config.src


def _systemd_boot_first(places: Places) -> bool:
    has_grub = any(one.has_loader() for one in places.efi)
    return any(name in one.files for one in places.efi for name in boot_places.SYSTEMD_BOOT) and not has_grub


def _menu_of(guest: GuestFS, config: Config, found: Found) -> Menu:
    esp = found.places.esp
    if config.loader == "grub2":
        return boot_menu.grub2_menu(guest, config, esp, found.volumes, found.cpu)
    if config.loader == "grub-legacy":
        from guestfix.detect.boot.legacy import legacy_menu  # few guests still have one

        return legacy_menu(guest, config, esp, found.volumes)
    return boot_others.syslinux_menu(guest, config, esp)


def _put_loaders(guest: GuestFS, found: Found, facts: Facts) -> None:
    loaders = [one.loader for one in found.configs]
    if found.menu:
        loaders = [found.menu.loader, *loaders]
        if found.menu.uses_bls:
            loaders.append("bls")
    if boot_sources.uki_files(guest, found.places):
        loaders.append("uki")
    facts.put(BOOT_LOADERS, list(dict.fromkeys(loaders)), *[Evidence(one.path) for one in found.configs])
    used = found.used.path if found.used else ""
    configs = [BootConfig(one.path, one.loader, one.firmware, one.path == used) for one in found.configs]
    facts.put(BOOT_CONFIGS, configs, *([Evidence(used)] if used else []))
    facts.put(BOOT_WRAPPER, found.wrapper, *([Evidence(found.wrapper)] if found.wrapper else []))
    facts.put(BOOT_ENV_BLOCK, _env_block(guest, found))


def _env_block(guest: GuestFS, found: Found) -> str:
    """Return the environment block that the used grub.cfg loads, or empty."""
    if not found.menu or found.menu.loader != "grub2":
        return ""
    host = boot_menu.GrubHost(guest, found.places.esp)
    prefix = found.menu.env.get("prefix", "")
    folders = (found.menu.path.rpartition("/")[0], prefix, "/boot/grub2", "/boot/grub")
    return next((path for folder in folders if (path := host.find(f"{folder}/grubenv"))), "")


# facts of entries


def _text(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _menu_entry(entry: BootEntry) -> MenuEntry:
    return MenuEntry(
        id=_text(entry.full_id),
        title=_text(entry.title),
        kernel=_text(entry.kernel),
        initrd=tuple(_text(one) for one in entry.initrd),
        args=tuple(_text(one) for one in entry.args),
        loader=entry.loader,
        path=entry.path,
        line=entry.line,
    )


def _put_entries(found: Found, facts: Facts) -> None:
    menu = found.menu
    if menu is None:
        reason = Unknown("no boot loader configuration can be seen")
        facts.put(BOOT_ENTRIES, [])
        facts.put(BOOT_DEFAULT, reason)
        facts.put(BOOT_FALLBACK, reason)
        facts.put(BOOT_CHOICE, reason)
        facts.put(BOOT_LOCKED, False)
        facts.put(BOOT_SIGNED, False)
        return
    entries = list(all_entries(menu.entries))
    facts.put(BOOT_ENTRIES, [_menu_entry(one) for one in entries[:MAX_FACT_ENTRIES]], Evidence(menu.path))
    facts.put(BOOT_LOCKED, menu.locked, Evidence(menu.path))
    facts.put(BOOT_SIGNED, menu.signed, Evidence(menu.path))
    facts.put(BOOT_CHOICE, _text(menu.choice))
    facts.put(BOOT_DEFAULT_REASON, _text(menu.reason))
    for kind, entry in ((BOOT_DEFAULT, menu.default), (BOOT_FALLBACK, menu.fallback)):
        if entry is not None and entry.kernel:
            facts.put(kind, _menu_entry(entry), Evidence(entry.path, entry.line, _text(entry.title)))
        elif kind is BOOT_DEFAULT:
            facts.put(kind, Unknown(menu.reason or "the default entry can't be told"), Evidence(menu.path))
        else:
            facts.put(kind, None)


# findings


def _default_findings(found: Found) -> list[Finding]:
    menu = found.menu
    if menu is None:
        return [
            Finding(
                "GF-BOOT-NO-CONFIG",
                "warning",
                "no configuration of GRUB, systemd-boot or extlinux can be seen",
                (Evidence("/boot"),),
                "see that the guest's /boot and EFI system partition are part of what guestfix was given",
            )
        ]
    if menu.locked and menu.default is not None:
        return [_locked(menu, menu.default)]
    if menu.waits:
        how, remedy = "timeout=-1", "GRUB_TIMEOUT=5 in /etc/default/grub, then update-grub"
        if menu.loader == "extlinux":
            how, remedy = "a menu or prompt without TIMEOUT", "TIMEOUT 50 (tenths of a second) in its configuration"
        summary = f"the boot menu waits for somebody to choose an entry ({how}), on a console that nobody sees"
        remedy += "; rule boot/menu-timeout sets it in the menu"
        return [Finding("GF-BOOT-MENU-WAITS", "warning", summary, (Evidence(menu.path),), remedy, outcome="stops")]
    if not menu.reason:
        return []
    code = "GF-BOOT-DEFAULT-UNKNOWN" if menu.default is None or not menu.default.kernel else "GF-BOOT-DEFAULT-LOST"
    remedy = "set the default to an entry that exists (grub-set-default, grubby --set-default)"
    return [Finding(code, "warning", menu.reason, (Evidence(menu.path, 0, _text(menu.choice)),), remedy)]


def _locked(menu: Menu, default: BootEntry) -> Finding:
    return Finding(
        "GF-BOOT-PASSWORD",
        "warning",
        f"the loader asks for a name and a password (superusers) before it starts the default entry {default.title!r}, "
        "on a console that nobody sees",
        (Evidence(default.path, default.line, _text(default.title)),),
        outcome="stops",
    )


def _left_findings(menu: Menu, entries: int, sources: int) -> list[Finding]:
    """Report what a menu, or the files with arguments, have beyond what is looked at."""
    told = list(dict.fromkeys(menu.reasons))[:MAX_REASONS]
    if entries > MAX_FACT_ENTRIES:
        told.append(f"it has {entries} entries; the facts list the first {MAX_FACT_ENTRIES}")
    if menu.left:
        told.append(f"{menu.left} of its files in loader/entries were not read: {boot_menu.MAX_BLS} are")
    if sources >= boot_sources.MAX_FILES:
        told.append(f"kernel arguments are changed in {boot_sources.MAX_FILES} files, and there are more")
    return [Finding("GF-BOOT-MENU-LEFT", "warning", f"the boot menu: {what}", (Evidence(menu.path),)) for what in told]


def _differing(guest: GuestFS, found: Found) -> list[Finding]:
    """Report configurations with entries of their own besides the one that is read at boot."""
    if found.used is None:
        return []
    others = [
        one
        for one in found.configs
        if one.path not in (found.used.path, found.wrapper) and one.src != found.used.src and _has_entries(one)
    ]
    if not others:
        return []
    return [
        Finding(
            "GF-BOOT-SEVERAL-CONFIGS",
            "warning",
            f"{len(others) + 1} boot configurations differ; the {found.firmware.upper()} path reads {found.used.path}",
            tuple(Evidence(one.path) for one in (found.used, *others)),
            "remove the configurations that are left over, so that nothing changes the wrong one",
        )
    ]


def _has_entries(config: Config) -> bool:
    if config.loader == "grub2":
        return len(config.src) >= WRAPPER_SIZE or b"menuentry" in config.src
    return config.loader != "grub-legacy" or bool(grublegacy.parse(config.src).stanzas)
