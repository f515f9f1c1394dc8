"""zlib-ng and Python's zlib, whichever is there, inflate alike, and damage is one kind of error."""

from __future__ import annotations

import importlib
import sys
import zlib

import pytest

from guestfix.base import inflate

PLAIN = b"words and more words " * 9000


@pytest.fixture(params=["zlib", "zlib-ng"])
def engine(request, monkeypatch):
    """The module as it is with only this engine installed."""
    if request.param == "zlib":
        monkeypatch.setitem(sys.modules, "zlib_ng", None)
    else:
        pytest.importorskip("zlib_ng", reason="zlib-ng is not installed here")
    yield importlib.reload(inflate)
    monkeypatch.undo()
    importlib.reload(inflate)


@pytest.mark.parametrize("wbits", [31, 15, -15])
def test_a_stream_in_steps_and_from_a_copy(engine, wbits):
    maker = zlib.compressobj(6, zlib.DEFLATED, wbits)
    packed = maker.compress(PLAIN) + maker.flush()
    one = engine.inflater(wbits)
    first = one.decompress(packed[:100], 1 << 20)
    again = one.copy()
    assert first + one.decompress(packed[100:] + b"behind") == PLAIN == first + again.decompress(packed[100:])
    assert one.eof and one.unused_data == b"behind"


def test_a_raw_stream_behind_a_window(engine):
    maker = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=PLAIN[:5000])
    packed = maker.compress(PLAIN) + maker.flush()
    assert engine.inflater(-15, PLAIN[:5000]).decompress(packed) == PLAIN
    with pytest.raises(engine.ERRORS):
        engine.inflater(-15).decompress(packed)


@pytest.mark.parametrize("data", [b"no stream at all", zlib.compress(PLAIN)[:-1] + b"x"])
def test_damage(engine, data):
    with pytest.raises(engine.ERRORS):
        engine.inflater(15).decompress(data)


def test_the_sum_goes_on(engine):
    assert engine.crc32(PLAIN[10:], engine.crc32(PLAIN[:10])) == zlib.crc32(PLAIN)
