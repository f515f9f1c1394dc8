"""What is known of a guest in the forms that importers read: thin renderings, each of a published format.

- virt-v2v-inspector's XML (virt-v2v-inspector(1), inspector/create_inspector_xml.ml), which Forklift and others parse;
- Forklift's concerns (kubev2v/forklift, validation/policies: id, category, label, assessment) and a failure record,
  whose 4,096 bytes are what Kubernetes keeps of a container's termination message;
- Coriolis's detected OS (cloudbase/coriolis, schemas/detected_os_morphing_info: four fields are required);
- leapp's report (oamg/leapp, report-schema-v120.json).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

from guestfix import __version__
from guestfix.base.catalog.findings import kind_of
from guestfix.base.events import timestamp
from guestfix.base.facts import Fact, Finding, Unknown
from guestfix.base.guest import Disks, Volume
from guestfix.base.record import frozen
from guestfix.base.text import one_line, to_json, utf8

MOST = 4096
"""Bytes of a failure record."""
_CATEGORIES = {"blocker": "Critical", "warning": "Warning", "info": "Information"}
_SEVERITIES = {"blocker": "high", "warning": "medium", "info": "info"}


@frozen
class Seen:
    """What was learned about a guest: its facts, what was found, its disks, what the pack's table calls its system."""

    facts: Sequence[Fact]
    findings: Sequence[Finding]
    disks: Disks | None
    names: Mapping[str, object]

    def text(self, name: str, default: str = "") -> str:
        """Return a fact as text; the default where it is not known."""
        value = next((one.value for one in self.facts if one.name == name), None)
        return default if value is None or isinstance(value, Unknown) else str(value)

    def rows(self, name: str) -> list[Mapping[str, object]]:
        """Return a fact that is a list of records."""
        value = next((one.value for one in self.facts if one.name == name), None)
        return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def inspection_xml(seen: Seen) -> bytes:
    """Return virt-v2v-inspector's XML, UTF-8. What is not known is left out; distro, osinfo, arch are unknown then."""
    from xml.etree.ElementTree import Element, SubElement, indent, tostring

    root = Element("v2v-inspection")

    def add(parent: Element, name: str, text: object = None, **attributes: str) -> Element:
        made = SubElement(parent, name, attributes)
        made.text = None if text is None else _xml(str(text))
        return made

    for name, text in (("program", "guestfix"), ("package", "guestfix"), ("version", __version__)):
        add(root, name, text)
    disks = add(root, "disks")
    for index, disk in enumerate(seen.disks.disks if seen.disks else ()):
        made = add(disks, "disk", index=str(index))
        if disk.size is not None:
            add(made, "virtual-size", disk.size)
    if firmware := seen.text("boot.firmware"):
        add(root, "firmware", type=firmware)
    system = add(root, "operatingsystem")
    for name, text in _system(seen):
        if text:
            add(system, name, text)
    mounts = add(system, "mountpoints")
    volumes = seen.disks.all_volumes() if seen.disks else ()
    for row in seen.rows("fstab.entries"):
        if str(row["mount"]).startswith("/"):
            spec = str(row["spec"])
            add(mounts, "mountpoint", row["mount"], dev=_xml(_device(spec, volumes) or spec))
    filesystems = add(system, "filesystems")
    for one in volumes:
        made = add(filesystems, "filesystem", dev=_xml(one.device))
        for name, value in (("type", one.fstype), ("label", one.label), ("uuid", one.uuid)):
            if value:
                add(made, name, value)
    indent(root, " ")
    text = tostring(root, encoding="unicode")
    return f"<?xml version='1.0' encoding='utf-8'?>\n{text}\n".encode()


def _xml(text: str) -> str:
    """Return text that XML can hold on one line: controls made visible, and what is no character replaced."""
    return one_line(text).replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")


def _system(seen: Seen) -> list[tuple[str, str]]:
    version = [part for part in seen.text("os.version").replace(" SP", ".").split(".") if part.isdigit()] + ["0", "0"]
    family = seen.text("os.family", "unknown")
    windows = family == "windows"
    system_root = seen.text("windows.root") if windows else ""
    return [
        ("name", family),
        ("distro", str(seen.names.get("distro") or "") or seen.text("os.id", "unknown")),
        ("osinfo", seen.text("os.osinfo", "unknown")),
        ("arch", seen.text("os.arch", "unknown")),
        ("major_version", version[0]),
        ("minor_version", version[1]),
        ("package_format", str(seen.names.get("packages") or "")),
        ("product_name", seen.text("os.name")),
        ("product_variant", seen.text("os.installation_type") if windows else ""),
        ("windows_systemroot", system_root),
        ("windows_software_hive", f"{system_root}/System32/config/SOFTWARE" if system_root else ""),
        ("windows_system_hive", f"{system_root}/System32/config/SYSTEM" if system_root else ""),
        ("root", _root(seen)),
    ]


def _root(seen: Seen) -> str:
    volumes = seen.disks.all_volumes() if seen.disks else ()
    spec = next((str(row["spec"]) for row in seen.rows("fstab.entries") if row["mount"] == "/"), "")
    return _device(spec, volumes) or spec


def _device(spec: str, volumes: Sequence[Volume]) -> str:
    """Return the device that a spec of fstab(5) means; empty where no volume is known by it."""
    kind, _, value = spec.partition("=")
    for one in volumes:
        names = {"UUID": one.uuid, "LABEL": one.label, "PARTUUID": one.partuuid, "PARTLABEL": one.partlabel}
        known = (names.get(kind) or "").lower() == value.strip('"').lower() if value else False
        if known or spec in (one.device, *one.aliases):
            return one.device
    return ""


def concerns(findings: Sequence[Finding]) -> list[dict[str, str]]:
    """Return Forklift's concerns: one for each finding."""
    return [
        {
            "id": f"guestfix.{one.code.removeprefix('GF-').lower().replace('-', '.')}",
            "category": _CATEGORIES[one.left],
            "label": kind_of(one.code).meaning.rstrip("."),
            "assessment": f"{one.summary}. {one.remedy}" if one.remedy else one.summary,
        }
        for one in findings
    ]


def failure_record(code: str, message: str, remedy: str) -> bytes:
    """Return a failure as Forklift's record, at most 4,096 bytes of JSON: the message is cut where it must be."""
    kind = kind_of(code)
    record = {
        "code": code,
        "summary": kind.meaning,
        "message": utf8(message),
        "remediation": utf8(remedy or kind.remedy),
    }
    data = (to_json(record, indent=None) + "\n").encode()
    while len(data) > MOST:
        longest = max(("message", "remediation"), key=lambda name: len(record[name]))
        record[longest] = record[longest][: max(len(record[longest]) - max((len(data) - MOST) // 4, 1) - 3, 0)] + "..."
        data = (to_json(record, indent=None) + "\n").encode()
    return data


def coriolis(seen: Seen) -> dict[str, str]:
    """Return what Coriolis's detection of an OS has to return: its four required fields."""
    name = seen.text("os.name") or seen.text("os.id", "unknown")
    return {
        "os_type": seen.text("os.family", "unknown"),
        "distribution_name": seen.text("os.id", "unknown"),
        "release_version": seen.text("os.version", "unknown"),
        "friendly_release_name": name,
    }


def leapp(seen: Seen, run: str, host: str) -> dict[str, object]:
    """Return a leapp report: an entry for each finding, a blocker as an inhibitor. ``run`` is its id."""
    return {"leapp_run_id": run, "entries": [_entry(one, host) for one in seen.findings]}


def _entry(one: Finding, host: str) -> dict[str, object]:
    key = hashlib.sha1(one.code.encode(), usedforsecurity=False).hexdigest()
    whole = hashlib.sha256(f"{one.code}\0{one.summary}".encode("utf-8", "surrogatepass")).hexdigest()
    detail: dict[str, object] = {}
    if one.remedy:
        detail["remediations"] = [{"type": "hint", "context": one.remedy}]
    if files := [item.path for item in one.evidence if item.path.startswith("/")]:
        detail["related_resources"] = [{"scheme": "file", "title": path} for path in dict.fromkeys(files)]
    return {
        "hostname": host,
        "severity": _SEVERITIES[one.left],
        "timeStamp": f"{timestamp()[:26]}Z",
        "title": kind_of(one.code).meaning.rstrip("."),
        "actor": one.rule or "guestfix",
        "summary": one.summary,
        "audience": "sysadmin",
        "groups": [*(["inhibitor"] if one.left == "blocker" else []), one.step],
        "key": key,
        "id": whole,
        **({"detail": detail} if detail else {}),
    }


FORMS: dict[str, Callable[[Seen, str, str], object]] = {
    "forklift": lambda seen, run, host: {"concerns": concerns(seen.findings)},
    "coriolis": lambda seen, run, host: coriolis(seen),
    "leapp": leapp,
}
"""The JSON forms by importer; each takes what was seen, the plan's digest and the guest's name."""
