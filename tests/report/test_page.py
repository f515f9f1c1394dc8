"""HTML reports: complete, safe whatever a guest says, and fit for everybody (axe-core in headless Chromium)."""

import re
from functools import cache
from html.parser import HTMLParser

import pytest

from guestfix.base.facts import Evidence, Fact, Finding
from guestfix.base.record import replace
from guestfix.cli import run
from guestfix.plan.changes import unified
from guestfix.plan.model import Change
from guestfix.report.forms import render
from guestfix.report.page.sides import ROWS, shown
from tests.build.browser import look, printed
from tests.build.reports import GUESTS, ROOT
from tests.build.reports import plan_of as make

plan_of = cache(make)

EVIL = (
    "<script>window.pwned=1;alert(1)</script>", '"><img src=x onerror="window.pwned=1">', "'onclick='window.pwned=1",
    "javascript:alert(1)", "https://evil.example/", "</style><style>*{display:none}</style>",
    "</title><script>1</script>",
    "{{ 7*7 }}", "{% raw %}", "\u202egnp.exe", "\x1b[2J", "\x00", "\ud800", "]]>", "<!--", "&lt;b&gt;", "\u2028",
    "a" * 3000,
)  # fmt: skip


def evil_plan():
    """Return a plan in which every text that may come from a guest is hostile."""
    plan = plan_of("debian-12")
    text = " ".join(EVIL)
    codes = ("GF-FSTAB-ROOT-UNRESOLVED", "GF-FSTAB-NFS-KEPT", "GF-NETWORK-STATIC-LOST", "GF-RULE-UNDECIDED")
    severities = ("blocker", "warning", "info", "info")
    found = tuple(
        Finding(code, severity, text, tuple(Evidence(f"/{one}", 1, one) for one in EVIL), text)
        for code, severity in zip(codes, severities, strict=True)
    )
    facts = (*plan.facts, *(Fact(f"evil.n{n}", one, (Evidence(one, 1, one),)) for n, one in enumerate(EVIL)))
    facts += (Fact("evil.table", {one: one for one in EVIL}), Fact("evil.rows", [{"a": one, one: "b"} for one in EVIL]))
    facts = tuple(replace(one, value=text) if one.name == "os.name" else one for one in facts)
    registry = "".join(f' [A\\{one}]\n-"{one}"="{one}"\n+"x"="{one}"\n' for one in EVIL)
    changes = [
        Change(f"/{n}{one}", "edit", (one,), None, None, diff=unified("/x", one.encode("utf-8", "replace"), b"y\n"))
        for n, one in enumerate(EVIL)
    ]
    changes.append(Change("/hive", "edit", ("a",), None, None, diff=registry))
    changes.append(
        Change("/boot/initrd.img", "edit", ("a",), None, None, diff="".join(f"+ {one} (1 bytes)\n" for one in EVIL))
    )
    steps = tuple(replace(one, because=text) for one in plan.walk.after.steps)
    walk = replace(plan.walk, after=replace(plan.walk.after, steps=steps))
    guest = {"uri": text, "files": [{"path": text, "because": text}]}
    return replace(plan, findings=found, facts=facts, changes=tuple(changes), follow_ups=EVIL, walk=walk, guest=guest)


class Seen(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.texts, self.ids = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_data(self, data):
        self.texts.append(data)


def seen(page):
    found = Seen()
    found.feed(page)
    found.close()
    return found


@pytest.mark.parametrize("name", [*GUESTS, "evil"])
def test_a_page_has_nothing_that_runs_or_loads_but_its_own(name):
    page = render(evil_plan() if name == "evil" else plan_of(name), "html")
    found = seen(page)
    allowed = {"html", "head", "meta", "title", "style", "body", "script"}
    assert found.tags.count("script") == 1 and found.tags.count("style") == 1
    assert not {"img", "iframe", "object", "embed", "link", "base", "form", "svg"} & set(found.tags) - allowed
    assert not [one for one in found.attributes if one[0].startswith("on") or one[0] in ("src", "style", "srcset")]
    assert all(value.startswith("#") for attribute, value in found.attributes if attribute == "href")
    assert len(found.ids) == len(set(found.ids))
    policy = next(value for attribute, value in found.attributes if value and "default-src" in value)
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
    page.encode()


def test_what_a_guest_says_stands_there_as_text():
    page = render(evil_plan(), "html")
    texts = "".join(seen(page).texts)
    for one in EVIL[:8]:
        assert one in texts
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u2028\ud800]", page)


def test_long_diffs_are_bounded():
    old = "".join(f"old {n}\n" for n in range(100_000)).encode()
    new = "".join(f"new {n}\n" for n in range(100_000)).encode()
    change = Change("/x", "edit", ("a",), None, None, diff=unified("/x", old, new))
    hive = Change("/h", "edit", ("a",), None, None, diff="".join(f"[K\\{n}]\n" for n in range(100_000)))
    deep = Change("/d", "edit", ("a",), None, None, diff="[" + "a\\" * 100_000 + "]\n")
    page = render(replace(plan_of("debian-12"), changes=(change, hive, deep)), "html")
    assert len(page) < 1_000_000 and "more lines: guestfix diff" in page


def test_diffs_have_the_form_that_suits_them():
    sides = shown(
        "--- a/x\n+++ b/x\n@@ -4,3 +4,4 @@\n same\n-one\n-two\n+1\n+2\n+3\n same\n\\ No newline at end of file\n"
    ).sides
    assert [(one.kind, one.old, one.new) for one in sides] == [
        ("hunk", 0, 0), ("same", 4, 4), ("changed", 5, 5), ("changed", 6, 6), ("came", 0, 7), ("same", 7, 8),
        ("note", 0, 0),
    ]  # fmt: skip
    (root,) = shown(' [A\\B]\n-"x"="1"\n+"x"="2"\n+[A\\C]\n+"y"="3"\n').tree
    assert root.name == "A" and list(root.keys) == ["b", "c"] and root.keys["c"].sign == "+"
    assert root.keys["b"].values == [("-", '"x"="1"'), ("+", '"x"="2"')]
    files = shown("+ the last archive (gzip) continues\n+ a/b.ko (12 bytes)\n")
    assert files.files == (("+", "a/b.ko", "12"),) and files.lines == ("+ the last archive (gzip) continues",)
    assert shown("").lines == () and len(shown("x\n" * 1000).lines) == ROWS


def test_in_a_browser_pages_are_accessible_and_closed(tmp_path):
    names = ["rhel7-vmware", "evil"]
    files = [tmp_path / f"{name}.html" for name in names]
    for name, file in zip(names, files, strict=True):
        file.write_text(render(evil_plan() if name == "evil" else plan_of(name), "html"))
    for name, found in zip(names, look(*files), strict=True):
        assert found["violations"] == {"light": [], "dark": [], "narrow": []}, name
        assert found["errors"] == [] and found["dialogs"] == [] and not found["pwned"], name
        assert all(url.startswith("file:///") and url.endswith(".html") for url in found["requests"]), name
        elements = found["elements"]
        assert elements == {"scripts": 1, "images": 0, "frames": 0, "links": [], "handlers": 0}, name
        assert 0 < found["filtered"] < found["all"] and found["plain"] > 2000, name
        assert not found["lightOverflow"] and not found["narrowOverflow"], name


def test_printed_no_word_of_ours_is_broken_and_no_heading_stands_alone(tmp_path):
    page = tmp_path / "page.html"
    plan = plan_of("rhel7-vmware")
    page.write_text(render(plan, "html"))
    sheets = printed(page)
    words = set(" ".join(sheets).split())
    assert {step.id for step in plan.walk.after.steps} <= words
    fields = {name for fact in plan.facts if fact.name == "network.interfaces" for name in fact.value[0]}
    assert {"bound_mac", "any_nic", "unmanaged"} <= fields & words
    heads = set(re.findall(r"<h2[^>]*>([^<]+)</h2>", page.read_text()))
    last = [[line for line in sheet.splitlines() if line.strip()][-1].strip() for sheet in sheets]
    assert len(heads) > 5 and heads & set(last) == set()


def test_report_and_render_write_the_same_page(tmp_path, capfd):
    guest = str(ROOT / "testdata/guests/amazon-linux-2")
    assert run(["report", guest, "--format", "html"]) == 0
    page = capfd.readouterr().out
    assert run(["report", guest, "--format", "json"]) == 0
    plan = tmp_path / "plan.json"
    plan.write_text(capfd.readouterr().out)
    assert run(["render", str(plan), "--format", "html"]) == 0
    again = capfd.readouterr().out
    assert page == again and page.startswith("<!doctype html>")
