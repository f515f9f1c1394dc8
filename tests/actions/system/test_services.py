"""Services in every init system: enabled, disabled, masked, and back again, byte for byte."""

import pytest

from guestfix import apply_plan, make_plan, open_guest, open_writable, revert
from guestfix.actions import find_action
from guestfix.actions.workbench import Workbench
from guestfix.base.errors import EditError
from guestfix.base.facts import Facts
from guestfix.base.overlay import Overlay
from guestfix.base.record import replace
from guestfix.cases.runner import snapshot
from guestfix.cli import run
from guestfix.pack.cache import load_pack
from guestfix.pack.model import Rule, Step, Target
from guestfix.plan.changes import changes_of
from tests.build.tree import build

EXAMPLE = "testdata/packs/no-vmware-tools"
GLOBS = tuple(
    next(step.globs for one in load_pack(EXAMPLE).rules if one.id == "acme/vmware-tools" for step in one.steps)
)
UNIT = "[Service]\nExecStart=/bin/x\n[Install]\nWantedBy=multi-user.target\n"
NULL = ("link", "/dev/null")


def plan(root, *calls):
    """Run actions on the tree; return what each changed path becomes: a link's target, text, or None for gone."""
    bench = Workbench(Overlay(open_guest(str(root))), Facts(), Target("t", "t"))
    for name, args in calls:
        with bench.fs.acting("x/y", GLOBS):
            find_action(name)(bench, **args)
    made = {}
    for change in changes_of(bench.fs):
        content = bench.fs.link_or_bytes(change.path)
        made[change.path] = getattr(content, "target", content)
    return made


def both_ways(root, changes, *calls):
    """Check what actions change, that a second run changes nothing, and that revert restores every byte."""
    assert plan(root, *calls) == changes
    pack = load_pack()
    steps = tuple(
        Step(GLOBS, action=name, args={key: ["const", value] for key, value in args.items()}) for name, args in calls
    )
    rule = Rule("x/y", "t", "w", (), "2026-11-29", "certain", "warning", (), steps)
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/os-release").write_text("ID=debian\nVERSION_ID=12\n")
    pack, before = replace(pack, rules=(rule,)), snapshot(root)
    made = make_plan(open_guest(str(root)), pack)
    assert {one.path for one in made.changes} == set(changes)
    apply_plan(open_writable(str(root)), replace(made, findings=()))
    assert plan(root, *calls) == {}
    revert(open_writable(str(root)))
    assert snapshot(root) == before


OWN, WANTS = "etc/systemd/system", "etc/systemd/system/multi-user.target.wants"

SYSTEMD = {
    "enabled": (
        {"lib/systemd/system/a.service": UNIT},
        ("systemd.enable", {"units": ["a.service"]}),
        {f"/{WANTS}/a.service": "/lib/systemd/system/a.service"},
    ),
    "enabled with all that it asks for": (
        {
            "usr/lib/systemd/system/a@.service": "[Install]\nWantedBy=x.target\nWantedBy=\nRequiredBy=b-%i.service\n"
            "Alias=z@%i.service ../e.service\nAlso=c.socket d.service\n",
            "usr/lib/systemd/system/c.socket": "[Install]\nWantedBy=sockets.target\n",
        },
        ("systemd.enable", {"units": ["a@1.service"]}),
        {
            f"/{OWN}/b-1.service.requires/a@1.service": "/usr/lib/systemd/system/a@.service",
            f"/{OWN}/z@1.service": "/usr/lib/systemd/system/a@.service",
            f"/{OWN}/sockets.target.wants/c.socket": "/usr/lib/systemd/system/c.socket",
        },
    ),
    "unmasked": (
        {"lib/systemd/system/a.service": UNIT, f"{OWN}/a.service": NULL},
        ("systemd.enable", {"units": ["a.service"]}),
        {f"/{OWN}/a.service": None, f"/{WANTS}/a.service": "/lib/systemd/system/a.service"},
    ),
    "enabled already": (
        {"lib/systemd/system/a.service": UNIT, f"{WANTS}/a.service": ("link", "../x")},
        ("systemd.enable", {"units": ["a.service"]}),
        {},
    ),
    "not there": ({"etc/x": ""}, ("systemd.enable", {"units": ["a.service"]}), {}),
    "static": ({"lib/systemd/system/a.service": "[Service]\n"}, ("systemd.enable", {"units": ["a.service"]}), {}),
    "disabled by an alias": (
        {
            "lib/systemd/system/a.service": UNIT,
            f"{OWN}/b.service": ("link", "/lib/systemd/system/a.service"),
            f"{WANTS}/a.service": ("link", "/lib/systemd/system/a.service"),
            f"{OWN}/c.service": UNIT,
            f"{WANTS}/c.service": ("link", "../c.service"),
        },
        ("systemd.disable", {"units": ["b.service"]}),
        {f"/{OWN}/b.service": None, f"/{WANTS}/a.service": None},
    ),
    "an instance disabled": (
        {
            "lib/systemd/system/a@.service": UNIT,
            f"{WANTS}/a@1.service": ("link", "/lib/systemd/system/a@.service"),
            f"{WANTS}/a@2.service": ("link", "/lib/systemd/system/a@.service"),
        },
        ("systemd.disable", {"units": ["a@1.service"]}),
        {f"/{WANTS}/a@1.service": None},
    ),
    "the link's target stays": (
        {"lib/systemd/system/a.service": UNIT, f"{WANTS}/a.service": ("link", "/etc/own"), "etc/own": "x"},
        ("systemd.disable", {"units": ["a.service"]}),
        {f"/{WANTS}/a.service": None},
    ),
    "masked over a file of the administrator": (
        {f"{OWN}/a.service": UNIT},
        ("systemd.mask", {"units": ["a.service"]}),
        {f"/{OWN}/a.service": "/dev/null"},
    ),
    "masked already": (
        {"lib/systemd/system/a.service": UNIT, f"{OWN}/a.service": NULL},
        ("systemd.mask", {"units": ["a.service"]}),
        {},
    ),
    "a template masked, and with it its instances": (
        {"lib/systemd/system/a@.service": UNIT},
        ("systemd.mask", {"units": ["a@.service", "a@1.service"]}),
        {f"/{OWN}/a@.service": "/dev/null"},
    ),
    "an instance masked": (
        {"lib/systemd/system/a@.service": UNIT},
        ("systemd.mask", {"units": ["a@1.service"]}),
        {f"/{OWN}/a@1.service": "/dev/null"},
    ),
    "a link to a unit that is gone": (
        {f"{WANTS}/a.service": ("link", "/lib/systemd/system/a.service"), f"{WANTS}/ab.service": ("link", "x")},
        ("systemd.disable", {"units": ["a.service"]}),
        {f"/{WANTS}/a.service": None},
    ),
    "nothing to mask": ({"etc/x": ""}, ("systemd.mask", {"units": ["a.service"]}), {}),
}


@pytest.mark.parametrize("name", SYSTEMD)
def test_units(tmp_path, name):
    files, call, changes = SYSTEMD[name]
    both_ways(build(tmp_path, files), changes, call)


def levels(base, script, *entries):
    return {f"{base}/{entry}": ("link", script) for entry in entries}


SERVICES = {
    "systemd, with its socket": (
        {
            "lib/systemd/system/a.service": UNIT,
            "lib/systemd/system/a.socket": UNIT,
            f"{WANTS}/a.service": ("link", "x"),
            f"{WANTS}/a.socket": ("link", "x"),
            f"{WANTS}/ab.service": ("link", "x"),
        },
        ("service.disable", {"names": ["a"]}),
        {f"/{WANTS}/a.service": None, f"/{WANTS}/a.socket": None},
    ),
    "SysV": (
        {
            "etc/init.d/a": "",
            **levels("etc", "../init.d/a", "rc2.d/S07a", "rc0.d/K01a"),
            "etc/rc2.d/S10ab": "",
            "etc/rcS.d/S05a": ("link", "../init.d/a"),
        },
        ("service.disable", {"names": ["a"]}),
        {"/etc/rc2.d/S07a": None, "/etc/rc2.d/K93a": "../init.d/a", "/etc/rcS.d/S05a": None},
    ),
    "a script below systemd": (
        {"lib/systemd/system/b.service": UNIT, "etc/init.d/a": "", "etc/rc3.d/S07a": ("link", "../init.d/a")},
        ("service.disable", {"names": ["a"]}),
        {"/etc/rc3.d/S07a": None, "/etc/rc3.d/K93a": "../init.d/a"},
    ),
    "upstart": (
        {"etc/init/a.conf": "start on x\n"},
        ("service.disable", {"names": ["a"]}),
        {"/etc/init/a.override": b"manual\n"},
    ),
    "OpenRC": (
        {
            "etc/init.d/a": "",
            "etc/runlevels/default/a": ("link", "/etc/init.d/a"),
            "etc/runlevels/boot/b": ("link", "x"),
        },
        ("service.disable", {"names": ["a"]}),
        {"/etc/runlevels/default/a": None},
    ),
    "runit": (
        {
            "etc/sv/a/run": "",
            "etc/runit/runsvdir/default/a": ("link", "/etc/sv/a"),
            "etc/runit/runsvdir/default/ab": ("link", "/etc/sv/ab"),
        },
        ("service.disable", {"names": ["a"]}),
        {"/etc/runit/runsvdir/default/a": None},
    ),
    "the first of several names": (
        {"lib/systemd/system/b.service": UNIT, "lib/systemd/system/c.service": UNIT},
        ("service.enable", {"names": ["a", "b", "c"]}),
        {f"/{WANTS}/b.service": "/lib/systemd/system/b.service"},
    ),
    "a script is enabled as it asks": (
        {
            "etc/rc.d/init.d/a": "#!/bin/sh\n# chkconfig: 35 64 36\n",
            "etc/rc.d/rc3.d/K36a": ("link", "../init.d/a"),
            "etc/rc.d/rc2.d/K36a": ("link", "../init.d/a"),
            "etc/rc.d/rc5.d/S01z": "",
        },
        ("service.enable", {"names": ["a"]}),
        {"/etc/rc.d/rc3.d/K36a": None, "/etc/rc.d/rc3.d/S64a": "../init.d/a", "/etc/rc.d/rc5.d/S64a": "../init.d/a"},
    ),
    "SUSE's folders, LSB header": (
        {"etc/init.d/a": "# Default-Start: 3\n", "etc/init.d/rc3.d/S01z": "", "etc/init.d/rc5.d/S01z": ""},
        ("service.enable", {"names": ["a"]}),
        {"/etc/init.d/rc3.d/S20a": "../a"},
    ),
    "upstart, an override of more": (
        {"etc/init/a.conf": "", "etc/init/a.override": "limit nofile 1 1\nmanual\n"},
        ("service.enable", {"names": ["a"]}),
        {"/etc/init/a.override": b"limit nofile 1 1\n"},
    ),
    "upstart, an override of nothing else": (
        {"etc/init/a.conf": "", "etc/init/a.override": "manual"},
        ("service.enable", {"names": ["a"]}),
        {"/etc/init/a.override": None},
    ),
    "OpenRC enabled": (
        {"etc/init.d/a": "", "etc/runlevels/default/b": ("link", "x")},
        ("service.enable", {"names": ["a"]}),
        {"/etc/runlevels/default/a": "/etc/init.d/a"},
    ),
    "nothing of it": ({"etc/init.d/ab": "", "etc/rc2.d/S01ab": ""}, ("service.disable", {"names": ["a", "b"]}), {}),
}


@pytest.mark.parametrize("name", SERVICES)
def test_services(tmp_path, name):
    files, call, changes = SERVICES[name]
    both_ways(build(tmp_path, files), changes, call)


@pytest.mark.parametrize("action", ["service.disable", "service.enable"])
@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", "a\n", "-a", ".", "a" * 200, "*"])
def test_odd_names_of_services_are_refused(tmp_path, action, name):
    with pytest.raises(EditError):
        plan(build(tmp_path, {"etc/x": ""}), (action, {"names": [name]}))


@pytest.mark.parametrize("action", ["systemd.disable", "systemd.enable", "systemd.mask"])
@pytest.mark.parametrize(
    "unit", ["", "a", "../x.service", "a/b.service", "a.service\n", "a.exe", "x" * 300 + ".service"]
)
def test_odd_names_of_units_are_refused(tmp_path, action, unit):
    with pytest.raises(EditError):
        plan(build(tmp_path, {"etc/x": ""}), (action, {"units": [unit]}))


HOSTILE = {
    "a unit that names itself": {
        "lib/systemd/system/a.service": "[Install]\nAlso=a.service\nAlias=a.service\nWantedBy=a.service\n"
    },
    "units without end": {
        f"lib/systemd/system/u{n}.service": f"[Install]\nAlso=u{n + 1}.service\n" for n in range(200)
    },
    "a folder in a unit's place": {"lib/systemd/system/a.service": None},
    "links in circles": {
        "etc/systemd/system": ("link", "system"),
        "etc/rc2.d": ("link", "rc2.d"),
        "etc/init": ("link", "init"),
    },
    "a link to a folder": {"etc/systemd/system/b.service": ("link", "/etc"), "etc/x": ""},
    "odd words": {
        "lib/systemd/system/a.service": "[Install]\nWantedBy=../../x.target /etc %H.target x\n\0=\nAlias=\xff.service\n"
    },
    "a pipe of levels": {"etc/rc2.d/S01a": None, "etc/rc3.d": "file", "etc/runlevels": "file"},
    "a long unit": {"lib/systemd/system/a.service": "[Install]\nWantedBy=" + "x.target " * 200_000},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_guest_holds_is_no_reason_to_fail(tmp_path, name):
    from guestfix.base.errors import GuestfixError

    root = build(tmp_path, HOSTILE[name])
    for call in (("service.enable", {"names": ["a", "u0"]}), ("service.disable", {"names": ["a", "u0"]})):
        try:
            made = plan(root, call)
        except GuestfixError:
            continue
        assert all(path.startswith(("/etc/systemd/system/", "/etc/rc", "/etc/runlevels/")) for path in made)


def test_outside_its_globs_a_rule_changes_no_service(tmp_path):
    root = build(tmp_path, {"lib/systemd/system/a.service": UNIT})
    bench = Workbench(Overlay(open_guest(str(root))), Facts(), Target("t", "t"))
    with bench.fs.acting("x/y", ("/etc/rc?.d/*",)), pytest.raises(EditError, match="outside the globs"):
        find_action("service.enable")(bench, names=["a"])


def test_the_example_pack_needs_no_python(capsys):
    assert run(["test", EXAMPLE]) == 0
    assert "10 cases passed" in capsys.readouterr().out
