"""What holds for every test: the name of a case is the same in each process that collects it."""

from __future__ import annotations

import pytest

pytest_plugins = ["tests.hostile.fixtures"]


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name bytes that are no text by their argument: compressed data holds the time, and each worker collects anew."""
    del config
    if isinstance(val, bytes) and not (val.isascii() and val.decode("ascii").isprintable()):
        return argname
    return None
