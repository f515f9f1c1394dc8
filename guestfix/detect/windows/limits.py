"""What the learned facts of a Windows guest mean for a migration, where no single key tells it."""

from __future__ import annotations

from collections.abc import Iterator

from guestfix.base.catalog.facts.boot import BOOT_FIRMWARE
from guestfix.base.catalog.facts.system import OS_ID, OS_INSTALLATION_TYPE, OS_LANGUAGE, OS_VERSION
from guestfix.base.catalog.facts.windows import (
    WINDOWS_DISK_GROUP,
    WINDOWS_DOTNET,
    WINDOWS_DRIVE_LETTERS,
    WINDOWS_EDITION_ID,
    WINDOWS_HIVES,
    WINDOWS_LANGUAGES,
    WINDOWS_NICS,
    WINDOWS_SYSPREPPED,
)
from guestfix.base.facts import Evidence, Facts, Finding
from guestfix.base.guest import GuestFS
from guestfix.base.versions import version_key
from guestfix.formats.windows.bcdplaces import system_volume
from guestfix.formats.windows.files import has_program
from guestfix.pack.model import Target


def detect(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Return findings about language, firmware, .NET Framework and the like; none where a hive could not be read."""
    if not {"SYSTEM", "SOFTWARE"} <= (facts.value(WINDOWS_HIVES) or {}).keys():
        return []
    return [
        *_language(facts),
        *_firmware(facts, target),
        *_framework(facts),
        *_letters(facts),
        *_dynamic(guest, facts),
        *_old_sysprep(guest, facts),
        *_evaluation(facts),
        *_refs(guest, facts),
        *_dns(facts),
        *_kept_addresses(facts),
    ]


def _language(facts: Facts) -> Iterator[Finding]:
    language = facts.value(OS_LANGUAGE)
    if language and language != "en-US":
        client = facts.value(OS_INSTALLATION_TYPE) == "Client"
        added = [one for one in facts.value(WINDOWS_LANGUAGES, []) if one.lower() == "en-us"]
        later = "; English was added later, which does not count" if added else ""
        yield Finding(
            "GF-WINDOWS-LANGUAGE",
            "warning" if client else "info",
            f"the system language is {language}; importers that ask for US English refuse this guest{later}",
            facts.evidence(OS_LANGUAGE),
            "nothing to do for guestfix itself; for such an importer, install in English and add the language later",
        )


def _firmware(facts: Facts, target: Target) -> Iterator[Finding]:
    firmware = facts.value(BOOT_FIRMWARE)
    if facts.value(OS_ID) == "windows-11" and firmware == "bios":
        yield Finding(
            "GF-WINDOWS-11-BIOS",
            "warning",
            "this Windows 11 starts by BIOS, which it does not support; updates may stop it",
            facts.evidence(BOOT_FIRMWARE),
            "convert the disk on the old platform: mbr2gpt /convert, then start it by UEFI",
        )
    if firmware and target.firmware and firmware not in target.firmware:
        yield Finding(
            "GF-BOOT-FIRMWARE",
            "blocker",
            f"the guest starts by {firmware.upper()}, and the target {target.id} offers {', '.join(target.firmware)}",
            facts.evidence(BOOT_FIRMWARE),
            "choose a target with this firmware, or convert the guest first",
        )


def _framework(facts: Facts) -> Iterator[Finding]:
    version, system = facts.value(WINDOWS_DOTNET), facts.value(OS_VERSION)
    if version is None or not system or version_key(str(system)) < version_key("6.0"):
        return
    if not version:
        yield Finding(
            "GF-WINDOWS-DOTNET",
            "info",
            ".NET Framework 4.5 or later was not found; agents of clouds need it",
            facts.evidence(WINDOWS_DOTNET),
            "install it before or after the migration, where the target's agent asks for it",
        )


def _letters(facts: Facts) -> Iterator[Finding]:
    """Letters of other volumes hang on disk signatures, partition ids and, for drives, on the bus."""
    letters = facts.value(WINDOWS_DRIVE_LETTERS) or {}
    others = {letter: device for letter, device in letters.items() if letter != "C:" and "FDC#" not in device}
    if others:
        shown = "; ".join(f"{letter} {device}" for letter, device in sorted(others.items())[:8])
        yield Finding(
            "GF-WINDOWS-DRIVE-LETTERS",
            "info",
            f"drive letters besides C: are kept as they are: {shown}",
            facts.evidence(WINDOWS_DRIVE_LETTERS),
            "bring all disks along with their signatures, and compare the letters after the first start",
        )


def _dynamic(guest: GuestFS, facts: Facts) -> Iterator[Finding]:
    """Dynamic disks as the registry shows them; what the disks themselves show is found elsewhere.

    A letter that hangs on a volume's id stands for a GPT partition or a dynamic volume. It is the latter where no
    GPT partition has that id, and for C: of a guest that starts by BIOS.
    """
    disks = guest.disks()
    if disks is not None and any(disk.table == "ldm" for disk in disks.disks):
        return
    proofs = facts.evidence(WINDOWS_DISK_GROUP) if facts.value(WINDOWS_DISK_GROUP) else ()
    letters = facts.value(WINDOWS_DRIVE_LETTERS) or {}
    volumes = {letter: text.removeprefix("volume ") for letter, text in letters.items() if text.startswith("volume ")}
    known = {(part.partuuid or "").lower() for part in disks.all_volumes()} if disks is not None else set()
    odd = [letter for letter, ident in volumes.items() if known - {""} and ident not in known]
    if "C:" in volumes and facts.value(BOOT_FIRMWARE) == "bios" and volumes["C:"] not in known:
        odd = sorted({*odd, "C:"})
    if odd or proofs:
        verb = "seems" if len(odd) == 1 else "seem"
        which = f"{', '.join(odd)} {verb} to lie" if odd else "Windows starts from a volume"
        yield Finding(
            "GF-DISK-DYNAMIC",
            "warning",
            f"{which} on dynamic disks, which may not come up on other hardware and which importers refuse",
            (*proofs, *facts.evidence(WINDOWS_DRIVE_LETTERS)[: 1 if odd else 0]),
            "convert them to basic disks on the old platform, or bring all disks of the group along together",
        )


def _evaluation(facts: Facts) -> Iterator[Finding]:
    edition = facts.value(WINDOWS_EDITION_ID) or ""
    if edition.lower().endswith("eval"):
        yield Finding(
            "GF-WINDOWS-EVALUATION",
            "warning",
            f"this is an evaluation edition ({edition}): once its time is over, Windows shuts down every hour",
            facts.evidence(WINDOWS_EDITION_ID),
            "convert it to a licensed edition (dism /online /set-edition), before or after the move",
        )


def _refs(guest: GuestFS, facts: Facts) -> Iterator[Finding]:
    disks = guest.disks()
    letter = str((facts.value(WINDOWS_DRIVE_LETTERS) or {}).get("C:", ""))
    home = system_volume(disks, letter) if disks is not None else None
    if home is not None and (home.fstype or "").lower() == "refs":
        yield Finding(
            "GF-WINDOWS-REFS",
            "warning",
            f"C: ({home.device}) is ReFS, from which most versions of Windows can't start and which importers refuse",
            (Evidence(home.device, 0, "filesystem type refs"),),
            "move Windows to a volume with NTFS on the old platform",
        )


def _old_sysprep(guest: GuestFS, facts: Facts) -> Iterator[Finding]:
    old = facts.value(WINDOWS_SYSPREPPED) and str(facts.value(OS_VERSION, "")).startswith("5.")
    if old and not has_program(guest, "/sysprep/sysprep.inf"):
        yield Finding(
            "GF-WINDOWS-SYSPREP-INF",
            "warning",
            "this Windows was generalised; before Vista its first start asks questions that only sysprep.inf answers",
            facts.evidence(WINDOWS_SYSPREPPED),
            r"put C:\sysprep\sysprep.inf with OemSkipEula=Yes and all answers there, on the old platform",
        )


def _dns(facts: Facts) -> Iterator[Finding]:
    """A name server that was entered by hand wins over those that DHCP gives, also on an interface with DHCP."""
    kept = [nic for nic in facts.value(WINDOWS_NICS) or [] if nic.dns and not nic.static]
    if kept:
        servers = dict.fromkeys(server for nic in kept for server in nic.dns)
        yield Finding(
            "GF-NETWORK-RESOLV-FIXED",
            "info",
            f"name servers entered by hand stay in use beside DHCP: {', '.join(servers)}",
            tuple(
                Evidence(facts.value(WINDOWS_HIVES, {}).get("SYSTEM", ""), 0, f"interface {nic.guid}")
                for nic in kept[:4]
            ),
            "see that they can be reached from the new network, or remove them",
        )


def _kept_addresses(facts: Facts) -> Iterator[Finding]:
    """Addresses that a policy keeps stay with the old adapter: Windows gives a new one an interface of its own."""
    policy = facts.value("policy.network")
    static = [nic for nic in facts.value(WINDOWS_NICS) or [] if nic.static]
    if not static or policy not in ("preserve", "none"):
        return
    shown = [f"{nic.name or nic.guid}: {', '.join(nic.addresses)}" for nic in static[:8]]
    yield Finding(
        "GF-WINDOWS-STATIC-KEPT",
        "warning",
        f"network={policy} keeps static addresses, but the new adapters will not have them ({'; '.join(shown)})",
        facts.evidence(WINDOWS_NICS)[:4],
        "set them on the new adapters at the first start, or let DHCP give them out as reservations (network=dhcp)",
    )
