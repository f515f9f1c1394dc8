"""What was seen beside what the walk said, as a document, as text, and by its schema."""

from __future__ import annotations

import json

import pytest

from guestfix.base.text import to_json
from guestfix.plan.model import SCHEMA
from guestfix.report.verify import render_start
from guestfix.verify.model import Mark, Seen, Start, Stop, Wire, start_out, steps_of
from guestfix.walk.model import Walk
from tests.build.documents import validate
from tests.build.starts import BOOTED, MACHINE, walk


def told(seen: Seen, said: Walk, *, ssh: bool = True) -> dict[str, tuple[bool | None, bool | None]]:
    return {one.id: (one.reached, one.agrees) for one in steps_of(seen, said, ssh=ssh)}


def test_an_ssh_server_that_answers_proves_every_step():
    seen = Seen("reached", MACHINE, 60.0, (*BOOTED, Mark("lease", 7.0), Mark("ssh", 9.0)))
    assert set(told(seen, walk(network="unknown")).values()) == {(True, True), (True, None)}
    assert told(seen, walk(root="stops"))["root"] == (True, False)
    assert {one.id: one.seconds for one in steps_of(seen, walk(), ssh=True)}["network"] == 7.0


def test_a_login_without_an_address_is_no_network():
    seen = Seen("unreachable", MACHINE, 60.0, BOOTED)
    found = told(seen, walk())
    assert found["mounts"] == (True, True) and found["network"] == (False, False)
    assert found["access"] == (False, None), "nobody comes in without a network"
    leased = Seen("unreachable", MACHINE, 60.0, (*BOOTED, Mark("lease", 7.0)))
    assert told(leased, walk())["access"] == (False, False)
    assert told(seen, walk(network="stops"))["network"] == (False, True)
    assert told(seen, walk(network="unknown"))["network"] == (False, None)


def test_a_stop_agrees_with_a_walk_that_stops_there_and_says_nothing_of_what_follows():
    seen = Seen("stopped", MACHINE, 60.0, BOOTED[:4], Stop("root", "no root is found", "ALERT!", (), 40.0))
    found = told(seen, walk(root="stops"))
    assert found["root"] == (False, True) and found["mounts"] == (False, None) and found["kernel"] == (True, True)
    assert told(seen, walk())["root"] == (False, False)
    assert told(seen, walk(initramfs="stops", root="passes"))["initramfs"] == (None, None)


def test_a_sign_of_two_steps_contradicts_neither():
    seen = Seen("stopped", MACHINE, 60.0, BOOTED[:3], Stop("root", "no root", "", ("initramfs",), 40.0))
    assert told(seen, walk(initramfs="stops")) | {} == told(seen, walk(initramfs="stops"))
    assert told(seen, walk(initramfs="stops"))["initramfs"] == (False, True)
    assert told(seen, walk(initramfs="stops"))["root"] == (False, None)


def of(state: str, seen: Seen) -> Start:
    return Start(state, seen, steps_of(seen, walk(), ssh=True))


HOSTILE = "\x1b[2J\u202eroot\ud800\r\n"
ALL = [
    Seen("reached", MACHINE, 60.0, (*BOOTED, Mark("lease", 7.0, HOSTILE)), None, Wire(3, "10.0.2.15", 7.0), HOSTILE),
    Seen("stopped", MACHINE, 60.0, (), Stop("", "why", HOSTILE), Wire(0, "", 0.0, ("192.0.2.1",)), "", (HOSTILE,),
         (HOSTILE,), HOSTILE * 3, 5),
    Seen("unproven", MACHINE, 60.0),
]  # fmt: skip


@pytest.mark.parametrize("seen", ALL, ids=lambda one: one.ending)
def test_the_document_keeps_to_its_schema_and_holds_no_control(seen):
    start = of("as it is", seen)
    document = {"schema": SCHEMA, "starts": [start_out(start)]}
    text = to_json(document)
    validate("verify", json.loads(text))
    shown = render_start(start)
    for made in (json.loads(text)["starts"][0]["console"]["text"], shown):
        assert not any(one in made for one in "\x1b\u202e\ud800\r")
    assert f" 9 {'access':<10}" in shown


def test_every_start_says_how_it_ended():
    assert [render_start(of("x", one)).splitlines()[2][9:30] for one in ALL] == [
        "it runs, has an addre", "stops at an unknown s", "no sign of success or"
    ]  # fmt: skip
