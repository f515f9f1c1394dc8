"""Signals that ask the program to end: the work in hand follows them where it can stop, and says so."""

from __future__ import annotations

import signal

from guestfix.base.stopping import Stop, current, follow

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def catch() -> None:
    """Let these signals put down the wish to stop from now on. One that is ignored (nohup) stays so."""
    follow(Stop())
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _wish)


def _wish(number: int, frame: object) -> None:
    stop = current()
    if stop is not None:
        stop.wish(signal.Signals(number).name)
