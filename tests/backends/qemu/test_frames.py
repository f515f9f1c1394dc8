"""The talk with a machine: what it sends is hostile, what is sent arrives whole."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestfix.backends.machine import wire
from guestfix.backends.machine.frames import (
    DATA,
    HEAD,
    MESSAGE,
    MOST_DATA,
    MOST_MESSAGE,
    NoFrame,
    frame,
    pieces,
    read_frame,
)
from guestfix.backends.machine.line import FrameLine
from guestfix.backends.machine.wire import FrameWire, Gone, Pipes


def taker(data: bytes):
    """Return a Take over bytes, which raises EOFError at their end."""
    at = 0

    def take(count: int) -> bytes:
        nonlocal at
        if at + count > len(data):
            raise EOFError
        at += count
        return data[at - count : at]

    return take


@given(st.lists(st.tuples(st.sampled_from([MESSAGE, DATA]), st.binary(max_size=300))))
def test_frames_come_out_as_they_went_in(rows: list[tuple[bytes, bytes]]) -> None:
    take = taker(b"".join(frame(kind, data) for kind, data in rows))
    assert [read_frame(take) for _ in rows] == rows


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_none(data: bytes) -> None:
    take = taker(data)
    try:
        while True:
            kind, found = read_frame(take)
            assert kind in (MESSAGE, DATA) and len(found) <= MOST_MESSAGE
    except (NoFrame, EOFError):
        pass


@pytest.mark.parametrize("head", [(MESSAGE, MOST_MESSAGE + 1), (DATA, MOST_DATA + 1), (b"X", 0), (DATA, 0xFFFFFFFF)])
def test_no_more_than_a_head_is_taken_of_a_frame_that_is_too_long(head: tuple[bytes, int]) -> None:
    taken = []

    def take(count: int) -> bytes:
        taken.append(count)
        return HEAD.pack(*head)

    with pytest.raises(NoFrame):
        read_frame(take)
    assert taken == [HEAD.size]


def test_a_message_inside_a_file_is_no_part_of_it() -> None:
    take = taker(frame(DATA, b"one") + frame(MESSAGE, b"{}"))
    with pytest.raises(NoFrame, match="before the end of a file"):
        list(pieces(take))


@contextmanager
def pair(look=lambda idle: None) -> Iterator[tuple[FrameWire, socket.socket]]:
    ours, theirs = socket.socketpair()
    descriptor = ours.detach()
    found = FrameWire(Pipes(descriptor, descriptor, look), 5.0)
    try:
        yield found, theirs
    finally:
        found.close()
        theirs.close()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=100))
def test_whatever_a_machine_says_the_host_gets_a_message_or_is_told(data: bytes) -> None:
    with pair() as (host, machine):
        machine.sendall(data)
        machine.close()
        try:
            host.receive(5.0)
        except Gone as error:
            assert str(error)


def test_a_file_and_an_answer_arrive_together(tmp_path: Path) -> None:
    with pair() as (host, machine):
        body = os.urandom(700_000)
        parts = [frame(DATA, body[at : at + 100_000]) for at in range(0, len(body), 100_000)]
        sender = threading.Thread(target=machine.sendall, args=(b"".join(parts) + frame(MESSAGE, b"done"),))
        sender.start()
        assert host.receive(5.0, str(tmp_path / "file")) == b"done"
        sender.join()
        assert (tmp_path / "file").read_bytes() == body
        machine.sendall(frame(DATA, b"x"))
        with pytest.raises(Gone, match="nobody asked for"):
            host.receive(5.0)


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=3000))
def test_both_ends_agree(tmp_path_factory: pytest.TempPathFactory, body: bytes) -> None:
    source = tmp_path_factory.mktemp("x") / "body"
    source.write_bytes(body)
    with pair() as (host, machine):
        line = _line(machine.fileno())
        host.send(b"request", str(source))
        assert line.receive() == b"request"
        assert b"".join(line.body("")) == body
        line.deliver("", [body, body])
        line.send(b"answer")
        got = source.with_name("back")
        assert host.receive(5.0, str(got)) == b"answer"
        assert got.read_bytes() == body * 2


def _line(descriptor: int) -> FrameLine:
    """Return the machine's end over a descriptor in place of a device."""
    found = FrameLine.__new__(FrameLine)
    found._port = descriptor
    return found


def test_a_silent_machine_is_told_in_time_and_one_that_is_not_wanted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LOOK_SECONDS", 0.01)
    with pair() as (host, _), pytest.raises(Gone, match="no answer in time"):
        host.receive(0.05)

    class Unwanted(Exception):
        pass

    def look(idle: bool) -> None:
        raise Unwanted

    with pair(look) as (host, _), pytest.raises(Unwanted):
        host.receive(5.0)


def test_a_machine_that_takes_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LOOK_SECONDS", 0.01)
    (tmp_path / "big").write_bytes(bytes(8 << 20))
    with pair() as (host, _):
        host._seconds = 0.05
        with pytest.raises(Gone, match="no answer in time"):
            host.send(b"put", str(tmp_path / "big"))
