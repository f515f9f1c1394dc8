"""General operations: what they leave alone, what they make, and laws for any file and any text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.base.edit import Edit, Link
from guestfix.base.errors import EditError
from guestfix.editors.system import files, modules, text
from guestfix.editors.system import settings as general

CONF = b"[a]\nk = 1\n; c\n[b]\nk=2\n"
SHELL = b'A=1\nexport B="x y" # why\n'
SYSCTL = b"# x\nvm.swappiness = 60\nnet/ipv4/ip_forward=0\n-kernel.panic = 1\n"
MODPROBE = b"blacklist floppy\noptions snd-hda-intel model=auto power_save=1\noptions x a\n"

SAME = [
    (files.create, b"x", {"text": "y"}),
    (files.create, b"y", {"text": "y", "replace": True}),
    (files.empty, b"", {}),
    (files.empty, b" \n", {}),
    (files.empty, None, {}),
    (files.delete, None, {}),
    (files.delete, Link("a"), {"links": False}),
    (files.link, Link("a"), {"to": "a"}),
    (text.ensure_line, b"a\n  b  \n", {"line": "b"}),
    (text.ensure_line, b"a\r\nb\r\n", {"line": "b"}),
    (text.ensure_line, None, {"line": "b"}),
    (text.replace_line, b"a 1\nb\n", {"match": "a *", "line": "a 1"}),
    (text.replace_line, b"xa 1\n", {"match": "a *", "line": "a 1"}),
    (text.replace_line, b"a.b\n", {"match": "a?", "line": "c"}),
    (text.replace_line, b"[x]\n", {"match": "[xyz]", "line": "c"}),
    (text.replace_line, None, {"match": "a", "line": "b", "add": True}),
    (general.set_ini, CONF, {"section": "b", "key": "k", "value": "2"}),
    (general.set_ini, None, {"section": "b", "key": "k", "value": "2"}),
    (general.set_shell, SHELL, {"name": "B", "value": "x y"}),
    (general.set_shell, None, {"name": "B", "value": "x y"}),
    (general.set_sysctl, SYSCTL, {"key": "vm/swappiness", "value": "60"}),
    (general.set_sysctl, SYSCTL, {"key": "net.ipv4.ip_forward", "value": "0"}),
    (general.set_sysctl, SYSCTL, {"key": "kernel.panic", "value": "1"}),
    (general.set_sysctl, None, {"key": "a", "value": "1"}),
    (modules.blacklist, MODPROBE, {"modules": ["floppy"]}),
    (modules.blacklist, None, {"modules": ["floppy"]}),
    (modules.blacklist, MODPROBE, {"modules": []}),
    (modules.options, MODPROBE, {"module": "snd_hda_intel", "options": "power_save=1"}),
    (modules.options, MODPROBE, {"module": "x", "options": "a"}),
    (modules.options, None, {"module": "x", "options": "a"}),
]

AFTER = [
    (files.create, None, {"text": "y\n"}, b"y\n"),
    (files.create, b"x", {"text": "y", "replace": True}, b"y"),
    (files.empty, b"x\n", {}, b""),
    (files.delete, b"x", {}, None),
    (files.delete, Link("a"), {}, None),
    (files.link, b"x", {"to": "/a"}, Link("/a")),
    (files.link, Link("b"), {"to": "/a"}, Link("/a")),
    (files.link, None, {"to": "../a b"}, Link("../a b")),
    (text.ensure_line, b"a", {"line": "b"}, b"a\nb\n"),
    (text.ensure_line, b"a\r\n", {"line": "b"}, b"a\r\nb\r\n"),
    (text.ensure_line, b"#b\n", {"line": "b"}, b"#b\nb\n"),
    (text.ensure_line, None, {"line": "b", "create": True}, b"b\n"),
    (text.ensure_line, b"", {"line": "b"}, b"b\n"),
    (text.replace_line, b"a 1\n  a 2\t\nb", {"match": "a *", "line": "c"}, b"c\nc\nb"),
    (text.replace_line, b"a 1\r\nb\r\n", {"match": "a ?", "line": "c"}, b"c\r\nb\r\n"),
    (text.replace_line, b"b\n", {"match": "a*", "line": "c", "add": True}, b"b\nc\n"),
    (text.replace_line, b"a.b+(c)\n", {"match": "a.b+(*)", "line": "d"}, b"d\n"),
    (general.set_ini, CONF, {"section": "b", "key": "k", "value": "3"}, b"[a]\nk = 1\n; c\n[b]\nk=3\n"),
    (general.set_ini, CONF, {"section": "a", "key": "n", "value": ""}, b"[a]\nk = 1\nn=\n; c\n[b]\nk=2\n"),
    (general.set_ini, None, {"section": "a", "key": "n", "value": "1", "create": True}, b"[a]\nn=1\n"),
    (general.set_shell, SHELL, {"name": "B", "value": "a$b"}, b'A=1\nexport B="a\\$b" # why\n'),
    (general.set_shell, None, {"name": "B", "value": "1", "create": True}, b"B=1\n"),
    (general.set_sysctl, SYSCTL, {"key": "vm.swappiness", "value": "1"}, SYSCTL.replace(b"60", b"1")),
    (general.set_sysctl, SYSCTL, {"key": "net.ipv4.ip_forward", "value": "1"}, SYSCTL.replace(b"=0", b"=1")),
    (general.set_sysctl, SYSCTL, {"key": "kernel.panic", "value": "9"}, SYSCTL.replace(b"panic = 1", b"panic = 9")),
    (general.set_sysctl, b"a=1\na=2\n", {"key": "a", "value": "3"}, b"a=1\na=3\n"),
    (general.set_sysctl, b"#a=1\n", {"key": "a", "value": "3"}, b"#a=1\na = 3\n"),
    (general.set_sysctl, b"net.ipv4.conf.eth0/1.x=0\n", {"key": "net/ipv4/conf/eth0.1/x", "value": "1"},
     b"net.ipv4.conf.eth0/1.x=1\n"),
    (general.set_sysctl, None, {"key": "a", "value": "3 4", "create": True}, b"a = 3 4\n"),
    (modules.blacklist, MODPROBE, {"modules": ["a", "floppy", "b-c"]}, MODPROBE + b"blacklist a\nblacklist b-c\n"),
    (modules.blacklist, None, {"modules": ["a"], "create": True}, b"blacklist a\n"),
    (modules.options, MODPROBE, {"module": "snd-hda-intel", "options": "model=x y=1"},
     MODPROBE.replace(b"auto", b"x") + b"options snd-hda-intel y=1\n"),
    (modules.options, b"options a model=1 xmodel=1\n", {"module": "a", "options": "xmodel=2"},
     b"options a model=1 xmodel=2\n"),
    (modules.options, b'options a m="1 2" \\\n  n=3\n', {"module": "a", "options": "m=x n=4"},
     b"options a m=x \\\n  n=4\n"),
    (modules.options, b"options a a=1\n", {"module": "a", "options": "a=2"}, b"options a a=2\n"),
    (modules.options, b"# options a b=1\n", {"module": "a", "options": "b=2"}, b"# options a b=1\noptions a b=2\n"),
    (modules.options, None, {"module": "a", "options": "b", "create": True}, b"options a b\n"),
]  # fmt: skip

REFUSED = [
    (files.create, {"text": "x", "mode": "4755"}),
    (files.create, {"text": "x", "mode": "rwx"}),
    (files.link, {"to": ""}),
    (files.link, {"to": "a\0b"}),
    (files.link, {"to": "a\nb"}),
    (files.link, {"to": "a" * 5000}),
    (text.ensure_line, {"line": "a\nroot::0:0::/:/bin/sh"}),
    (text.ensure_line, {"line": "a\rb"}),
    (text.replace_line, {"match": "a", "line": "b\nc"}),
    (text.replace_line, {"match": "a\n", "line": "b"}),
    (text.replace_line, {"match": "*" + "a*" * 9, "line": "b"}),
    (text.replace_line, {"match": "a" * 300, "line": "b"}),
    (general.set_ini, {"section": "a]\n[b", "key": "k", "value": "v"}),
    (general.set_ini, {"section": "a", "key": "k=", "value": "v"}),
    (general.set_ini, {"section": "a", "key": "#k", "value": "v"}),
    (general.set_ini, {"section": "a", "key": "k", "value": "v\nw"}),
    (general.set_ini, {"section": "a", "key": "k", "value": "v\\"}),
    (general.set_shell, {"name": "a b", "value": "v"}),
    (general.set_shell, {"name": "A", "value": "v\nB=1"}),
    (general.set_sysctl, {"key": "a = b", "value": "1"}),
    (general.set_sysctl, {"key": "#a", "value": "1"}),
    (general.set_sysctl, {"key": "a", "value": "1\nb=2"}),
    (modules.blacklist, {"modules": ["a b"]}),
    (modules.blacklist, {"modules": ["a\ninstall x /bin/sh"]}),
    (modules.options, {"module": "a", "options": "b=1\ninstall"}),
    (modules.options, {"module": "a b", "options": "c"}),
    (modules.options, {"module": "a", "options": "#"}),
]


def bare(result):
    return result.content if isinstance(result, Edit) else result


@pytest.mark.parametrize(("op", "src", "args"), SAME)
def test_what_says_so_already_stays_the_same_object(op, src, args):
    assert op(src, **args) is src


@pytest.mark.parametrize(("op", "src", "args", "after"), AFTER)
def test_before_and_after(op, src, args, after):
    made = bare(op(src, **args))
    assert made == after
    again = {**args, "replace": False} if "replace" in args else args
    assert bare(op(made, **again)) is made


@pytest.mark.parametrize(("op", "args"), REFUSED)
@pytest.mark.parametrize("src", [None, b"a\nb=1\n[a]\n"])
def test_what_would_become_something_else_is_refused(op, args, src):
    with pytest.raises(EditError):
        op(src, **args)


def test_a_new_file_has_its_mode():
    assert files.create(None, text="x", mode="0750") == Edit(b"x", mode=0o750)


LINES = [
    b"a 1", b"[s]", b"k=1", b"k = 2", b"A=1", b'A="x', b"x.y=1", b"options m o=1", b"blacklist m", b"# c", b"", b"a\\",
    b"\tk=1\r", b"\xff",
]  # fmt: skip
FILES = st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(LINES), max_size=8).map(b"\n".join))
WORD = st.text(st.characters(codec="utf-8", exclude_characters="\0\n\r"), max_size=12)
CALLS = [
    (text.ensure_line, st.fixed_dictionaries({"line": WORD})),
    (text.replace_line, st.fixed_dictionaries({"match": st.sampled_from(["a *", "*", "k?=*"]), "line": WORD})),
    (general.set_ini, st.fixed_dictionaries({"section": st.just("s"), "key": st.just("k"), "value": WORD})),
    (general.set_shell, st.fixed_dictionaries({"name": st.just("A"), "value": WORD})),
    (general.set_sysctl, st.fixed_dictionaries({"key": st.just("x.y"), "value": WORD})),
    (modules.blacklist, st.fixed_dictionaries({"modules": st.just(["m", "n"])})),
    (modules.options, st.fixed_dictionaries({"module": st.just("m"), "options": st.just("o=2 p")})),
]


@pytest.mark.parametrize(("op", "strategy"), CALLS, ids=lambda one: getattr(one, "__name__", ""))
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_laws(op, strategy, data):
    """Idempotence, identity, locality (lines that are neither changed nor added stay), and only our exceptions."""
    src, args = data.draw(FILES), data.draw(strategy)
    try:
        once = op(src, **args)
    except EditError:
        return
    assert op(once, **args) is once
    assert (once is src) == (once == src)
    before, after = src.split(b"\n"), once.split(b"\n")
    if once is not src and op not in (text.replace_line,):
        kept = [line for line in before if line in after]
        assert len(kept) >= len(before) - 1 - (op is modules.options) or b'"' in src or b"\\" in src


def test_a_pattern_takes_linear_time():
    import time

    started = time.process_time()
    src = (b"a" * 4000 + b"\n") * 500
    text.replace_line(src, match="*a" * 8 + "b", line="x")
    assert time.process_time() - started < 3
