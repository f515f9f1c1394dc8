"""A spliced file reads as the bytes that apply_splices makes."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from guestfix.base.edit import Splice, apply_splices
from guestfix.base.spliced import open_spliced


@st.composite
def spliced(draw: st.DrawFn) -> tuple[bytes, list[Splice]]:
    base = draw(st.binary(max_size=60))
    marks = sorted(draw(st.lists(st.integers(0, len(base)), max_size=8, unique=True)))
    pairs = zip(marks[::2], marks[1::2], strict=False)
    return base, [Splice(start, end - start, draw(st.binary(max_size=9))) for start, end in pairs]


@given(spliced(), st.lists(st.tuples(st.integers(0, 80), st.integers(-1, 40)), max_size=6))
def test_every_read_is_that_of_the_bytes(case, reads):
    base, splices = case
    whole = io.BytesIO(apply_splices(base, splices))
    stream = open_spliced(io.BytesIO(base), splices)
    assert stream.seek(0, io.SEEK_END) == len(whole.getvalue())
    for at, count in reads:
        assert (stream.seek(at), stream.read(count)) == (whole.seek(at), whole.read(count))
        assert stream.tell() == whole.tell()
