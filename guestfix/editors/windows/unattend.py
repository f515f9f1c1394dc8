r"""Windows answer files, ``Windows\Panther\unattend.xml``: made, or merged into the administrator's own.

Source: Unattended Windows Setup Reference (settings pass oobeSystem, components
Microsoft-Windows-International-Core and Microsoft-Windows-Shell-Setup).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from guestfix.base.edit import Content, Edit, Note, Splice, apply_splices
from guestfix.base.errors import EditError
from guestfix.base.patterns import regex
from guestfix.base.record import frozen
from guestfix.formats.windows.xmlspan import Document, Element, parse

SPACE = "urn:schemas-microsoft-com:unattend"
TOKEN = "31bf3856ad364e35"
PASS = "oobeSystem"
INTERNATIONAL = "Microsoft-Windows-International-Core"
SHELL = "Microsoft-Windows-Shell-Setup"

ARCHITECTURES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "i386": "x86",
    "i486": "x86",
    "i586": "x86",
    "i686": "x86",
    "x86": "x86",
    "aarch64": "arm64",
    "arm64": "arm64",
}
PASSES = frozenset(
    ["windowsPE", "offlineServicing", "generalize", "specialize", "auditSystem", "auditUser", "oobeSystem"]
)
_LOCALE = regex(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}\Z")


@frozen
class _Setting:
    """One value wanted: ``path`` below the component; ``forced`` where another value is replaced."""

    component: str
    path: tuple[str, ...]
    value: str
    forced: bool = False


def _settings(locale: str) -> tuple[_Setting, ...]:
    names = ("InputLocale", "SystemLocale", "UILanguage", "UserLocale")
    screens = ("HideEULAPage", "SkipMachineOOBE", "SkipUserOOBE")
    return (
        *(_Setting(INTERNATIONAL, (name,), locale) for name in names),
        *(_Setting(SHELL, ("OOBE", name), "true", forced=True) for name in screens),
    )


def merge(src: bytes | None, *, arch: str, locale: str = "en-US") -> Content | Edit:
    """Make the answer file accept the licence, skip OOBE's questions and name a locale.

    Without a file a new one is returned. In an existing one only what is missing is added; a locale
    that is there stays, while an OOBE page that would wait for a person is switched off, with a note.
    ``arch`` is the guest's architecture (``x86_64`` or ``amd64``, ``i686`` or ``x86``, ``aarch64`` or
    ``arm64``). Raises EditError for a DOCTYPE, XML that is not well formed, and a file that is no
    answer file.
    """
    if arch not in ARCHITECTURES:
        raise EditError(f"no answer file for the architecture {arch}")
    if not _LOCALE.match(locale):
        raise EditError(f"not a locale: {locale!r}", remedy="give one such as en-US")
    arch = ARCHITECTURES[arch]
    wanted = _settings(locale)
    if src is None or not src.strip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0"):
        return _new_file(arch, wanted)
    document = parse(src)
    check(document)
    return _Merge(document, arch).run(src, wanted)


def check(document: Document) -> None:
    """Raise EditError unless the document is an answer file as Windows Setup takes it.

    Checked: the root and its namespace, each ``settings`` with one of the seven passes, each
    ``component`` with a name and a processorArchitecture.
    """
    root = document.root
    if (root.name, root.space) != ("unattend", SPACE):
        raise EditError(f"not an answer file: its root is {root.name!r} in the namespace {root.space!r}")
    for settings in (child for child in root.children if child.name == "settings" and child.space == SPACE):
        if settings.attributes.get("pass") not in PASSES:
            raise EditError("a settings element without a known pass", where=f"line {settings.line}")
        for component in (child for child in settings.children if child.name == "component"):
            if not component.attributes.get("name") or not component.attributes.get("processorArchitecture"):
                raise EditError("a component without name or processorArchitecture", where=f"line {component.line}")


def _new_file(arch: str, wanted: Sequence[_Setting]) -> bytes:
    tree = _tree(wanted)
    lines = ['<?xml version="1.0" encoding="utf-8"?>', f'<unattend xmlns="{SPACE}">', f'    <settings pass="{PASS}">']
    for component, nodes in tree.items():
        lines += [f"        {_component_tag(component, arch)}", *_render(nodes, "            ", "    ", "")]
        lines.append("        </component>")
    lines += ["    </settings>", "</unattend>", ""]
    return "\r\n".join(lines).encode("ascii")


_Nodes = dict[str, "str | _Nodes"]
_Renderer = Callable[[str, str, str], list[str]]
"""From the children's indent, one level of it, and the namespace prefix to lines of XML."""


def _tree(wanted: Sequence[_Setting]) -> dict[str, _Nodes]:
    """Return the settings as component -> nested names -> value, in order."""
    tree: dict[str, _Nodes] = {}
    for setting in wanted:
        nodes = tree.setdefault(setting.component, {})
        for name in setting.path[:-1]:
            inner = nodes.setdefault(name, {})
            assert isinstance(inner, dict)
            nodes = inner
        nodes[setting.path[-1]] = setting.value
    return tree


def _render(nodes: _Nodes, indent: str, unit: str, prefix: str) -> list[str]:
    lines: list[str] = []
    for name, value in nodes.items():
        tag = prefix + name
        if isinstance(value, str):
            lines.append(f"{indent}<{tag}>{value}</{tag}>")
        else:
            lines += [f"{indent}<{tag}>", *_render(value, indent + unit, unit, prefix), f"{indent}</{tag}>"]
    return lines


def _component_tag(name: str, arch: str, prefix: str = "") -> str:
    return (
        f'<{prefix}component name="{name}" processorArchitecture="{arch}" publicKeyToken="{TOKEN}"'
        ' language="neutral" versionScope="nonSxS">'
    )


class _Merge:
    """One merge: collects splices over the document's body."""

    def __init__(self, document: Document, arch: str) -> None:
        self.body = document.body
        self.document = document
        self.arch = arch
        self.newline = "\r\n" if b"\r\n" in self.body else "\n"
        self.splices: list[Splice] = []
        self.notes: list[Note] = []
        self.pending: dict[int, tuple[Element, list[str]]] = {}

    def run(self, src: bytes, wanted: Sequence[_Setting]) -> Content | Edit:
        passes = [one for one in self.document.root.children if _is_pass(one)]
        if any(one.attributes.get("wasPassProcessed") == "true" for one in passes):
            return Edit(src, (_processed(passes[0]),))
        missing = [setting for setting in wanted if not self._settled(setting, passes)]
        if missing:
            self._add(missing, passes)
        for parent, lines in self.pending.values():
            self._flush(parent, lines)
        if not self.splices:
            return Edit(src, tuple(self.notes)) if self.notes else src
        body = self.document.encode(apply_splices(self.body, self.splices))
        return Edit(body, tuple(self.notes)) if self.notes else body

    def _components(self, passes: Sequence[Element], name: str) -> list[Element]:
        return [
            one
            for settings in passes
            for one in settings.children
            if (one.name, one.space) == ("component", SPACE)
            and one.attributes.get("name", "").lower() == name.lower()
            and one.attributes.get("processorArchitecture", "").lower() == self.arch
        ]

    def _settled(self, setting: _Setting, passes: Sequence[Element]) -> bool:
        """Tell whether the file already has the setting, after correcting a forced one that says no."""
        found: list[Element] = self._components(passes, setting.component)
        for name in setting.path:
            found = [child for one in found for child in one.children if child.name == name]
        for one in found:
            if setting.forced and one.text.strip().lower() != setting.value:
                self._replace(one, setting.value)
        return bool(found)

    def _replace(self, element: Element, value: str) -> None:
        raw = self.body[element.inner : element.close]
        if b"<" in raw:
            summary = f"{element.name} holds more than text and was left alone"
            self.notes.append(Note("warning", summary, element.line, code="GF-WINDOWS-UNATTEND-ODD"))
            return
        was = element.text.strip()
        self.notes.append(
            Note(
                "info",
                f"{element.name} was {was or 'empty'} and is now {value}, so that the first boot waits for nobody",
                element.line,
                code="GF-WINDOWS-UNATTEND-OOBE",
            )
        )
        if element.empty_tag:
            tag = element.tag.decode()
            opened = self.body[element.start : element.end][:-2].rstrip().decode()
            new = f"{opened}>{value}</{tag}>".encode()
            self.splices.append(Splice(element.start, element.end - element.start, new))
            return
        lead = len(raw) - len(raw.lstrip())
        self.splices.append(Splice(element.inner + lead, len(raw.strip()), value.encode()))

    def _add(self, missing: Sequence[_Setting], passes: Sequence[Element]) -> None:
        """Insert what is missing at the deepest element that is there."""
        if not passes:
            root = self.document.root
            self._insert(root, lambda indent, unit, prefix: self._settings_lines(missing, indent, unit, prefix))
            return
        for name, nodes in _tree(missing).items():
            components = self._components(passes, name)
            if components:
                self._into(components[0], nodes)
            else:
                self._new_component(passes[0], name, nodes)

    def _into(self, parent: Element, nodes: _Nodes) -> None:
        here: _Nodes = {}
        for name, value in nodes.items():
            child = parent.find(name)
            if child is not None and isinstance(value, dict):
                self._into(child, value)
            else:
                here[name] = value
        if here:
            self._insert(parent, lambda indent, unit, prefix: _render(here, indent, unit, prefix))

    def _new_component(self, parent: Element, name: str, nodes: _Nodes) -> None:
        self._insert(parent, lambda i, unit, prefix: self._component_lines(name, nodes, i, unit, prefix))

    def _component_lines(self, name: str, nodes: _Nodes, indent: str, unit: str, prefix: str) -> list[str]:
        tag = indent + _component_tag(name, self.arch, prefix)
        return [tag, *_render(nodes, indent + unit, unit, prefix), f"{indent}</{prefix}component>"]

    def _settings_lines(self, wanted: Sequence[_Setting], indent: str, unit: str, prefix: str) -> list[str]:
        lines = [f'{indent}<{prefix}settings pass="{PASS}">']
        for name, nodes in _tree(wanted).items():
            lines += self._component_lines(name, nodes, indent + unit, unit, prefix)
        return [*lines, f"{indent}</{prefix}settings>"]

    def _insert(self, parent: Element, render: _Renderer) -> None:
        """Plan rendered lines as parent's last children, indented as its other children are."""
        prefix = parent.tag[: parent.tag.rfind(b":") + 1].decode()
        own = _indent(self.body, parent.start) or ""
        inner = _indent(self.body, parent.children[0].start) if parent.children else None
        if inner is None or not inner.startswith(own) or inner == own:
            inner = own + "    "
        lines = render(inner, inner[len(own) :], prefix)
        self.pending.setdefault(parent.start, (parent, []))[1].extend(lines)

    def _flush(self, parent: Element, lines: Sequence[str]) -> None:
        own = _indent(self.body, parent.start) or ""
        block = "".join(self.newline + line for line in lines)
        if parent.empty_tag:
            opened = self.body[parent.start : parent.end][:-2].rstrip()
            text = f">{block}{self.newline}{own}</{parent.tag.decode()}>"
            self.splices.append(Splice(parent.start, parent.end - parent.start, opened + text.encode()))
            return
        at = parent.children[-1].end if parent.children else parent.inner
        if b"\n" not in self.body[at : parent.close]:
            block += self.newline + own
        self.splices.append(Splice(at, 0, block.encode()))


def _is_pass(element: Element) -> bool:
    return element.name == "settings" and element.space == SPACE and element.attributes.get("pass") == PASS


def _processed(settings: Element) -> Note:
    return Note(
        "warning",
        "the answer file's oobeSystem pass is marked as processed, so Windows will not read it again",
        settings.line,
        'wasPassProcessed="true"',
        remedy="if the guest was sysprepped, remove this file so that a new one is written",
        code="GF-WINDOWS-UNATTEND-PROCESSED",
    )


def _indent(body: bytes, at: int) -> str | None:
    """Return the blanks before ``at`` on its line, or None where something else stands there."""
    start = body.rfind(b"\n", 0, at) + 1
    lead = body[start:at]
    return lead.decode() if not lead.strip(b" \t") else None
