from __future__ import annotations

import contextlib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.base.edit import Edit
from guestfix.base.errors import EditError
from guestfix.editors.windows.unattend import SPACE, merge
from tests.build.corpus import corpus_params

HEAD = f'<?xml version="1.0" encoding="utf-8"?>\n<unattend xmlns="{SPACE}">\n'
COMPONENT = 'processorArchitecture="amd64" publicKeyToken="31bf3856ad364e35" language="neutral" versionScope="nonSxS"'
OOBE = "<HideEULAPage>true</HideEULAPage><SkipMachineOOBE>true</SkipMachineOOBE><SkipUserOOBE>true</SkipUserOOBE>"
LOCALES = "".join(f"<{n}>de-DE</{n}>" for n in ("InputLocale", "SystemLocale", "UILanguage", "UserLocale"))
COMPLETE = (
    f'<unattend xmlns="{SPACE}"><settings pass="oobeSystem">'
    f'<component name="Microsoft-Windows-Shell-Setup" {COMPONENT}><OOBE>{OOBE}</OOBE></component>'
    f'<component name="Microsoft-Windows-International-Core" {COMPONENT}>{LOCALES}</component>'
    "</settings></unattend>"
)


def merged(src: bytes | None, arch: str = "x86_64", locale: str = "en-US") -> tuple[bytes, list[str]]:
    found = merge(src, arch=arch, locale=locale)
    content, notes = (found.content, [note.code for note in found.notes]) if isinstance(found, Edit) else (found, [])
    assert isinstance(content, bytes)
    return content, notes


def values(data: bytes, arch: str = "amd64") -> dict[str, str]:
    """An independent reading: every leaf of the oobeSystem pass for this architecture."""
    found: dict[str, str] = {}
    space = f"{{{SPACE}}}"
    for part in ET.fromstring(data).findall(f"{space}settings"):
        if part.get("pass") != "oobeSystem":
            continue
        for component in part.findall(f"{space}component"):
            if component.get("processorArchitecture") == arch:
                for leaf in component.iter():
                    if len(leaf) == 0:
                        name = f"{component.get('name')}/{leaf.tag.removeprefix(space)}"
                        found.setdefault(name, (leaf.text or "").strip())
    return found


def wanted(locale: str = "en-US") -> dict[str, str]:
    core, shell = "Microsoft-Windows-International-Core", "Microsoft-Windows-Shell-Setup"
    names = ("InputLocale", "SystemLocale", "UILanguage", "UserLocale")
    flags = ("HideEULAPage", "SkipMachineOOBE", "SkipUserOOBE")
    return {**{f"{core}/{n}": locale for n in names}, **{f"{shell}/{n}": "true" for n in flags}}


def without_additions(before: bytes, after: bytes) -> bool:
    """True when `before` is what remains of `after` once inserted bytes are taken out (a subsequence)."""
    at = 0
    for byte in before:
        at = after.find(bytes([byte]), at) + 1
        if at == 0:
            return False
    return True


def test_a_new_file_is_what_the_reference_system_writes() -> None:
    data, notes = merged(None)
    assert notes == []
    assert values(data) == wanted()
    root = ET.fromstring(data)
    assert root.tag == f"{{{SPACE}}}unattend"
    components = root.findall(f"{{{SPACE}}}settings/{{{SPACE}}}component")
    assert [c.get("name") for c in components] == [
        "Microsoft-Windows-International-Core",
        "Microsoft-Windows-Shell-Setup",
    ]
    for component in components:
        assert dict(component.attrib) == {
            "name": component.get("name"),
            "processorArchitecture": "amd64",
            "publicKeyToken": "31bf3856ad364e35",
            "language": "neutral",
            "versionScope": "nonSxS",
        }
    assert data.count(b"\r\n") == data.count(b"\n")


@pytest.mark.parametrize(("arch", "word"), [("i686", "x86"), ("x86_64", "amd64"), ("aarch64", "arm64")])
def test_architecture_and_locale(arch: str, word: str) -> None:
    data, _ = merged(None, arch, "fr-CA")
    assert values(data, word) == wanted("fr-CA")


NOOP = {
    "complete, another locale": COMPLETE.encode(),
    "complete, utf-8 with BOM": b"\xef\xbb\xbf" + COMPLETE.encode(),
    "complete, utf-16": COMPLETE.encode("utf-16"),
    "complete, utf-16 that says so": COMPLETE.replace("<una", "<?xml version='1.0' encoding='UTF-16'?><una").encode(
        "utf-16"
    ),
    "complete, latin-1": COMPLETE.replace(
        "<una", '<?xml version="1.0" encoding="ISO-8859-1"?><!-- \xe9 --><una'
    ).encode("latin-1"),
    "complete, cdata": COMPLETE.replace(">true<", "><![CDATA[true]]><").encode(),
    "complete, prefixed": COMPLETE.replace("xmlns=", "xmlns:u=").replace("<", "<u:").replace("<u:/", "</u:").encode(),
    "complete, other letter case": COMPLETE.replace("Shell-Setup", "shell-setup").replace("amd64", "AMD64").encode(),
    "complete, upper-case value": COMPLETE.replace(">true<", ">TRUE<").encode(),
}


@pytest.mark.parametrize("name", NOOP)
def test_noop(name: str) -> None:
    src = NOOP[name]
    assert merge(src, arch="x86_64") is src


PARTS = {
    "an empty root": f'<unattend xmlns="{SPACE}"></unattend>',
    "an empty root tag": f'<unattend xmlns="{SPACE}" />',
    "an empty pass": HEAD + '  <settings pass="oobeSystem"/>\n</unattend>\n',
    "another pass only": HEAD + '\t<settings pass="specialize">\n\t</settings>\n</unattend>\n',
    "a commented pass": HEAD + '  <!-- <settings pass="oobeSystem"><OOBE/></settings> -->\n</unattend>\n',
    "an empty OOBE": COMPLETE.replace(f"<OOBE>{OOBE}</OOBE>", "<OOBE/>"),
    "no OOBE": COMPLETE.replace(f"<OOBE>{OOBE}</OOBE>", ""),
    "a component for another architecture": COMPLETE.replace("amd64", "x86"),
    "prefixed": HEAD.replace("xmlns=", "xmlns:u=").replace("<unattend", "<u:unattend") + "</u:unattend>",
    "greater-than in an attribute": COMPLETE.replace("<OOBE>", '<OOBE note="a > b">').replace(OOBE, ""),
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", PARTS)
def test_what_is_missing_is_added_and_nothing_else(name: str, codec: str, newline: str) -> None:
    text = PARTS[name].replace("\n", newline).replace('encoding="utf-8"', f'encoding="{codec.removesuffix("-sig")}"')
    src = text.encode(codec)
    data, notes = merged(src)
    assert notes == []
    for key, value in wanted().items():
        assert values(data)[key] in (value, "de-DE"), key
    assert without_additions(text.replace("/>", ">").replace(" >", ">").encode(), data.decode(codec).encode())
    assert data[:2] == src[:2]
    assert merge(data, arch="x86_64") is data
    if newline == "\r\n" and newline in text:
        assert data.decode(codec).count("\r\n") == data.decode(codec).count("\n")


def test_a_page_that_would_wait_is_switched_off_with_a_note() -> None:
    src = COMPLETE.replace("<SkipUserOOBE>true", "<SkipUserOOBE> false ").encode()
    data, notes = merged(src)
    assert notes == ["GF-WINDOWS-UNATTEND-OOBE"]
    assert data == src.replace(b"<SkipUserOOBE> false ", b"<SkipUserOOBE> true ")
    assert b"de-DE" in data and b"en-US" not in data


def test_an_empty_flag_gets_its_value() -> None:
    src = COMPLETE.replace("<SkipUserOOBE>true</SkipUserOOBE>", "<SkipUserOOBE />").encode()
    data, _ = merged(src)
    assert data == COMPLETE.encode()


def test_a_flag_with_a_comment_inside_is_left_alone() -> None:
    src = COMPLETE.replace("<SkipUserOOBE>true", "<SkipUserOOBE><!-- later -->false").encode()
    assert merged(src) == (src, ["GF-WINDOWS-UNATTEND-ODD"])


def test_a_processed_pass_is_left_alone() -> None:
    src = COMPLETE.replace('"oobeSystem"', '"oobeSystem" wasPassProcessed="true"').replace(OOBE, "").encode()
    assert merged(src) == (src, ["GF-WINDOWS-UNATTEND-PROCESSED"])


REFUSED = {
    "doctype": b'<!DOCTYPE unattend [<!ENTITY a "b">]>' + COMPLETE.encode(),
    "external": b'<!DOCTYPE unattend SYSTEM "http://example.test/a.dtd">' + COMPLETE.encode(),
    "undefined entity": COMPLETE.replace("de-DE", "&x;").encode(),
    "xinclude": COMPLETE.replace(
        "<OOBE>", '<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/><OOBE>'
    ).encode(),
    "not closed": COMPLETE[:-5].encode(),
    "another root": b"<autounattend/>",
    "no namespace": COMPLETE.replace(f' xmlns="{SPACE}"', "").encode(),
    "an unknown pass": COMPLETE.replace("oobeSystem", "oobe").encode(),
    "a component without a name": COMPLETE.replace("component name", "component nom").encode(),
    "utf-7": HEAD.replace("utf-8", "utf-7").encode() + b"</unattend>",
    "latin-1 bytes in utf-8": COMPLETE.replace("de-DE", "d\xe9").encode("latin-1"),
    "utf-8 that says utf-16": b"\xef\xbb\xbf" + (HEAD.replace("utf-8", "utf-16") + "</unattend>").encode(),
    "utf-16 that says utf-8": (HEAD + "</unattend>").encode("utf-16"),
    "utf-16 without a mark that says latin-1": (HEAD.replace("utf-8", "iso-8859-1") + "</unattend>").encode(
        "utf-16-le"
    ),
    "an unknown encoding": (HEAD.replace("utf-8", "x") + "</unattend>").encode(),
    "utf-32": COMPLETE.encode("utf-32"),
    "utf-16 behind a NUL": b"\xef\xbb\xbf" + COMPLETE.encode("utf-16-be"),
    "utf-16 behind another mark": b"\xef\xbb\xbf" + COMPLETE.encode("utf-16-le"),
    "many elements": COMPLETE.replace("<OOBE>", "<x/>" * 100_001 + "<OOBE>").encode(),
    "billion laughs": (
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
        + COMPLETE.replace("de-DE", "&b;")
    ).encode("utf-16"),
    "too large": COMPLETE.replace("de-DE", "x" * (8 << 20)).encode(),
    "deep": (HEAD + "<a>" * 5000 + "</a>" * 5000 + "</unattend>").encode(),
    "cut utf-16": COMPLETE.encode("utf-16")[:-1],
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    with pytest.raises(EditError):
        merge(REFUSED[name], arch="x86_64")


def test_arguments_are_checked() -> None:
    with pytest.raises(EditError):
        merge(None, arch="vax")
    with pytest.raises(EditError):
        merge(None, arch="x86", locale='en"><x')


@pytest.mark.parametrize("path", corpus_params("unattend"))
def test_the_corpus_is_merged_without_loss(path: Path) -> None:
    src = path.read_bytes()
    data, notes = merged(src)
    assert notes == []
    assert without_additions(src, data)
    before, after = values(src), values(data)
    assert {key: after[key] for key in before} == before
    assert set(wanted()) <= set(after)
    kept = data.splitlines(True)
    assert [line for line in src.splitlines(True) if line not in kept] == []
    assert merge(data, arch="x86_64") is data


NAMES = st.sampled_from(["OOBE", "HideEULAPage", "component", "settings", "x", "SkipUserOOBE"])
TEXT = st.sampled_from(["", "true", "false", "\n  ", "\r\n\t", "<!-- <OOBE> -->", "&amp;", "<![CDATA[>]]>", "é"])


@st.composite
def element(draw: st.DrawFn, depth: int = 3) -> str:
    name = draw(NAMES)
    attributes = {
        "settings": ' pass="oobeSystem"',
        "component": f' name="Microsoft-Windows-Shell-Setup" {COMPONENT}',
    }.get(name, draw(st.sampled_from(["", ' a="1"', " b='>'"])))
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from([f"<{name}{attributes}/>", f"<{name}{attributes} ></{name}>"]))
    inner = "".join(draw(st.lists(st.one_of(TEXT, element(depth=depth - 1)), max_size=4)))
    return f"<{name}{attributes}>{inner}</{name}>"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(TEXT.filter(lambda t: "true" not in t), element()), max_size=4), st.booleans())
def test_law_any_tree_is_kept(parts: list[str], wide: bool) -> None:
    text = f'<unattend xmlns="{SPACE}">{"".join(parts)}</unattend>'
    src = text.encode("utf-16" if wide else "utf-8")
    data, _ = merged(src)
    again = merge(data, arch="x86_64")
    assert (again.content if isinstance(again, Edit) else again) is data
    tags = [e.tag for e in ET.fromstring(src).iter()]
    left = iter([e.tag for e in ET.fromstring(data).iter()])
    assert all(tag in left for tag in tags)
    assert data.decode("utf-16" if wide else "utf-8").count("<!--") == text.count("<!--")


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text(alphabet='<>/"= !-ax:&;é\n', max_size=80).map(str.encode)))
def test_law_hostile_bytes_end_in_our_error(src: bytes) -> None:
    with contextlib.suppress(EditError):
        merge(src, arch="x86_64")


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(COMPLETE)), st.binary(min_size=1, max_size=6))
def test_law_damaged_file(at: int, junk: bytes) -> None:
    src = COMPLETE.encode()[:at] + junk + COMPLETE.encode()[at:]
    try:
        found = merge(src, arch="x86_64")
    except EditError:
        return
    data = found.content if isinstance(found, Edit) else found
    assert isinstance(data, bytes)
    ET.fromstring(data)
