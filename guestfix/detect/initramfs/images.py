"""What each boot entry's initramfs holds, and what it lacks for the target's disks and the guest's root.

Facts: initramfs.images (one mapping a kernel), initramfs.missing (all modules that some image lacks),
initramfs.drivers (those of them that the target asks for by name), initramfs.blocked (modules that
modprobe.d keeps from loading), initramfs.generator (that of the default entry's image, or ``unknown``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from guestfix.base.catalog.facts.boot import (
    INITRAMFS_BLOCKED,
    INITRAMFS_DRIVERS,
    INITRAMFS_GENERATOR,
    INITRAMFS_MISSING,
)
from guestfix.base.catalog.facts.system import OS_FAMILY, SYSTEM_INSTALL, SYSTEM_KERNEL_PACKAGES
from guestfix.base.catalog.records.boot import BlockedModule
from guestfix.base.facts import Evidence, Facts, Finding, Unknown
from guestfix.base.guest import GuestFS
from guestfix.base.record import replace
from guestfix.detect.initramfs.check import VERDICTS, Verdict, judge
from guestfix.detect.initramfs.find import boots, scan_ahead
from guestfix.detect.initramfs.held import Stored
from guestfix.pack.model import Target

_REBUILD = {
    "dracut": 'dracut --force --add-drivers "{drivers}" {path} {kernel}',
    "initramfs-tools": "update-initramfs -u -k {kernel}",
    "mkinitcpio": "mkinitcpio -P",
    "mkinitfs": "mkinitfs {kernel}, with a feature in /etc/mkinitfs/features.d that names {drivers}",
    "mkinitrd-suse": "mkinitrd -k vmlinuz-{kernel} -i initrd-{kernel}, with {drivers} in INITRD_MODULES",
    "booster": "booster build --force --kernel-version {kernel} {path}, with {drivers} in modules of /etc/booster.yaml",
    "mkinitrd-rh": "mkinitrd -f {path} {kernel}",
}


def detect(guest: GuestFS, facts: Facts, target: Target) -> list[Finding]:
    """Record the initramfs.* facts, with a finding for everything that can't be judged or can't be fixed."""
    if facts.value(OS_FAMILY) != "linux":
        return []
    found = boots(guest, facts)
    scan_ahead(guest, found)
    verdicts = [judge(guest, facts, target, boot) for boot in found]
    _put(facts, verdicts)
    findings = together([(verdict, one) for verdict in verdicts for one in _findings(verdict, facts, target)])
    if not verdicts:
        findings.append(
            Finding(
                "GF-INITRAMFS-NONE",
                "info",
                "no initramfs image was found for any kernel, so nothing can be said of its drivers",
                (Evidence("/boot"),),
            )
        )
    return list(dict.fromkeys(findings))


def together(found: Sequence[tuple[Verdict, Finding]]) -> list[Finding]:
    """Return one finding for all kernels of which the same is said, with a list of them."""
    alike: dict[tuple[object, ...], list[tuple[Verdict, Finding]]] = {}
    for verdict, one in found:
        said = tuple(_without(verdict, text) for text in (one.summary, one.remedy))
        alike.setdefault((one.code, one.severity, one.outcome, one.seconds, *said), []).append((verdict, one))
    return [_joined(those) if len(those) > 1 else those[0][1] for those in alike.values()]


def _without(verdict: Verdict, text: str) -> str:
    text = text.replace(verdict.path, "\0")
    return text.replace(verdict.boot.kernel, "\1") if verdict.boot.kernel else text


def _joined(those: Sequence[tuple[Verdict, Finding]]) -> Finding:
    first, places = those[0][1], dict.fromkeys(place for _, one in those for place in one.evidence)
    paths = _listed(list(dict.fromkeys(verdict.path for verdict, _ in those)))
    kernels = _listed(list(dict.fromkeys(verdict.boot.kernel for verdict, _ in those)))
    summary = _without(those[0][0], first.summary).replace("kernel \1", "kernels \1")
    summary = summary.replace("\0", paths).replace("\1", kernels)
    remedy = _without(those[0][0], first.remedy).replace("\0", paths)
    return replace(first, summary=summary, evidence=tuple(places), remedy=remedy.replace("\1", kernels))


def _listed(names: Sequence[str]) -> str:
    """Return names as a list in a sentence: the first four, and how many more there are."""
    more = len(names) - 4
    return ", ".join(names[:4]) + (f" and {more} more" if more > 0 else "")


def _put(facts: Facts, verdicts: list[Verdict]) -> None:
    seen = [Evidence(verdict.path) for verdict in verdicts]
    facts.put(VERDICTS, verdicts, *seen)
    judged = [verdict for verdict in verdicts if verdict.judged]
    if judged or not verdicts:
        facts.put(INITRAMFS_MISSING, _union(verdict.missing for verdict in judged), *seen)
        facts.put(INITRAMFS_DRIVERS, _union(verdict.wanted for verdict in judged), *seen)
    else:
        for kind in (INITRAMFS_MISSING, INITRAMFS_DRIVERS):
            facts.put(kind, Unknown(verdicts[0].problem), *seen)
    blocks = [block for verdict in verdicts for block in verdict.blocked]
    facts.put(
        INITRAMFS_BLOCKED,
        _union([block.module] for block in blocks),
        *dict.fromkeys(Evidence(block.path, block.line, block.text) for block in blocks),
    )
    makers = [one.contents.generator for one in verdicts if one.contents and one.contents.generator]
    facts.put(INITRAMFS_GENERATOR, makers[0] if makers else "unknown", *seen)


def _union(lists: Iterable[list[str]]) -> list[str]:
    return list(dict.fromkeys(name for names in lists for name in names))


def _findings(verdict: Verdict, facts: Facts, target: Target) -> list[Finding]:
    found = [_unjudged(verdict)] if verdict.problem else []
    main = verdict.boot.role == "default"
    place = Evidence(verdict.path)
    if verdict.absent:
        told = verdict.kernel is not None and verdict.kernel.builtin_known
        names = ", ".join(f"{name} ({verdict.reasons[name]})" for name in verdict.absent)
        found.append(
            Finding(
                "GF-INITRAMFS-MODULE-ABSENT",
                "blocker" if main and told else "warning",
                f"kernel {verdict.boot.kernel} has no module {names}, neither in its initramfs nor in the guest"
                + ("" if told else ", unless it is built in, which nothing here tells"),
                (place, Evidence(f"/lib/modules/{verdict.boot.kernel}")),
                remedy=f"install {_package(facts, verdict.boot.kernel)} in the guest before the migration"
                f"{_installed_by(facts)}, or choose another target disk bus",
            )
        )
    if verdict.kernel is not None and verdict.kernel.known and not verdict.kernel.indexed and verdict.kernel.folder:
        found.append(
            Finding(
                "GF-INITRAMFS-NO-DEPMOD",
                "warning",
                f"depmod was never run for kernel {verdict.boot.kernel}: there is no modules.dep, so an initramfs "
                "that is rebuilt in the guest will hold no modules; here the modules themselves were read",
                (Evidence(verdict.kernel.folder),),
                remedy=f"run 'depmod {verdict.boot.kernel}' in the guest",
            )
        )
    if verdict.missing and verdict.sealed:
        found.append(
            Finding(
                "GF-INITRAMFS-SEALED",
                "blocker" if main else "warning",
                f"{verdict.path} is {verdict.sealed}, which is never changed, and it lacks "
                f"{', '.join(verdict.missing)} for the boot on {target.id}",
                (place,),
                remedy=_remedy(verdict)
                if verdict.contents and verdict.contents.generator == "booster"
                else "rebuild it in the guest with these modules (kernel-install add, ukify, dracut --uefi), and "
                "sign it again where Secure Boot is used",
            )
        )
    elif verdict.missing:
        reasons = "; ".join(f"{name}: {verdict.reasons[name]}" for name in verdict.missing)
        found.append(
            Finding(
                "GF-INITRAMFS-LACKS",
                "info",
                f"the initramfs of kernel {verdict.boot.kernel} lacks {', '.join(verdict.missing)} ({reasons})",
                (place,),
                _remedy(verdict),
                outcome="stops" if main else "",
            )
        )
    found += [_blocked(verdict, block, target) for block in verdict.blocked]
    alike: dict[tuple[object, ...], list[Stored]] = {}
    for one in verdict.stored:
        alike.setdefault((one.nic, one.fixed, one.gone, one.holds, one.outcome, one.seconds), []).append(one)
    return found + [_stored(verdict, those, target) for those in alike.values()]


def _stored(verdict: Verdict, those: list[Stored], target: Target) -> Finding:
    """Return one finding for all files of an image that have stored the like."""
    main, one = verdict.boot.role == "default", those[0]
    places = tuple(Evidence(f"{verdict.path}:{each.name}", each.line, each.text) for each in those)
    names = _listed(list(dict.fromkeys(each.name for each in those)))
    if one.nic:
        summary = f"{verdict.path} has stored in {names} a name for a NIC of the old hardware: {one.text}"
        return Finding("GF-INITRAMFS-STORED-NIC", "info", summary, places)
    sure = one.fixed or one.gone or one.outcome != "stops"
    said = _listed(list(dict.fromkeys(each.text for each in those if each.text))) or "names of disks"
    what = f"{verdict.path} has stored in {names}: {said}"
    holds = "has by that name where the disks come in the same order" if one.holds else "does not have by that name"
    return Finding(
        "GF-INITRAMFS-STORED" if one.fixed else "GF-INITRAMFS-STORED-UNKNOWN",
        "info" if one.fixed else "warning",
        f"{what}, which {target.id} {holds}",
        places,
        "attach the disk of that volume, or rebuild the image in the guest without it" if one.gone else "",
        outcome="" if not main else one.outcome if sure else "unknown",
        seconds=one.seconds if main else 0,
    )


def _blocked(verdict: Verdict, block: BlockedModule, target: Target) -> Finding:
    where = f" inside {verdict.path}" if block.inside else ""
    path = f"{verdict.path}:{block.path}" if block.inside else block.path
    return Finding(
        "GF-INITRAMFS-BLOCKED",
        "info",
        f"{block.module}, which the boot on {target.id} needs, is kept from loading{where}",
        (Evidence(path, block.line, block.text),),
        "remove the line and rebuild the initramfs",
    )


def _unjudged(verdict: Verdict) -> Finding:
    at = f" at byte {verdict.offset}" if verdict.offset >= 0 else ""
    foreign = verdict.image is not None and verdict.image.kind in ("squashfs", "ext2", "pe", "cramfs", "romfs")
    if verdict.broken:
        code, severity = "GF-INITRAMFS-DAMAGED", "blocker" if verdict.boot.role == "default" else "warning"
        summary = f"the initramfs of kernel {verdict.boot.kernel} is damaged{at}: {verdict.problem}"
    else:
        code, severity = "GF-INITRAMFS-FOREIGN" if foreign else "GF-INITRAMFS-UNJUDGED", "warning"
        summary = f"the initramfs of kernel {verdict.boot.kernel} can't be judged{at}: {verdict.problem}"
    return Finding(code, severity, summary, (Evidence(verdict.path),), remedy=_remedy(verdict))


def _remedy(verdict: Verdict) -> str:
    maker = verdict.contents.generator if verdict.contents else ""
    command = _REBUILD.get(maker)
    if command is None:
        return "rebuild the image in the guest with the target's drivers in it, before the migration"
    text = command.format(drivers=" ".join(verdict.wanted), path=verdict.path, kernel=verdict.boot.kernel)
    return f"{'rebuild' if verdict.sealed else 'or rebuild'} it in the guest: {text}"


def _package(facts: Facts, kernel: str) -> str:
    text = str(facts.value(SYSTEM_KERNEL_PACKAGES, "the package that has this kernel's drivers"))
    return text.replace("{kernel}", kernel)


def _installed_by(facts: Facts) -> str:
    command = facts.value(SYSTEM_INSTALL, "")
    return f" ({command})" if command else ""
