"""What helps where no system is found comes from a field of what was said, not from its words."""

import pytest

from guestfix.backends.layout.model import DiskInfo, Part
from guestfix.backends.layout.mounts import lay_out
from guestfix.backends.volumes.block import BACKEND, COPY, DiskError, Told, read_exact, told
from guestfix.base.errors import NotAGuest


@pytest.mark.parametrize(
    ("problem", "problems", "remedy"),
    [
        (told("cut short", COPY), (), "copy the image again"),
        (told("not for this one", BACKEND), (), "see which backends can be used here: guestfix backends"),
        ("", (told("not for this one", BACKEND), told("cut short", COPY)), "copy the image again"),
        ("the truncated trunk can't be read by the backend image", (), "see that these are disk images"),
        ("", ("truncated",), "see that these are disk images"),
    ],
)
def test_the_remedy_is_that_of_the_cure(problem, problems, remedy):
    with pytest.raises(NotAGuest) as caught:
        lay_out([DiskInfo(1, "")], [Part(0, problem=problem)], lambda *_: None, lambda _: (), problems=problems)
    assert caught.value.remedy.startswith(remedy)
    assert all(one in caught.value.what for one in (problem, *problems))


def test_a_sentence_told_in_more_words_keeps_its_cure():
    inner = told("cut short", COPY)
    assert told(f"sda: {inner}", of=inner) == "sda: cut short"
    assert told(f"sda: {inner}", of=inner).cure == COPY
    assert told("sda: damaged", of="damaged").cure == "" and isinstance(told("x"), str)


def test_an_error_carries_it():
    class Short:
        size = 3

        def seek(self, *_):
            return 0

        def read(self, *_):
            return b"abc"

    with pytest.raises(DiskError) as caught:
        read_exact(Short(), 0, 4, "the table")
    assert isinstance(caught.value.what, Told) and caught.value.what.cure == COPY
