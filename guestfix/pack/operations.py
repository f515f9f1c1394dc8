"""Editors' operations and actions as an author sees them: arguments with their types, and one sentence each.

Nothing here is written down a second time: names come from ``OPS`` and ``ACTIONS``, arguments and types from the
functions' signatures, sentences from their docstrings.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable

from guestfix.actions import ACTIONS, find_action
from guestfix.base.catalog.facts import KINDS
from guestfix.base.record import frozen
from guestfix.editors import OPS, find_op
from guestfix.pack.known import kind_of_type


@frozen
class Argument:
    """One argument: ``kind`` as the table of facts calls kinds, its default as JSON has it where it may be left out."""

    name: str
    kind: str
    required: bool
    default: object = None

    @property
    def called(self) -> str:
        """What an author calls its type."""
        return KINDS.get(self.kind, "any value")


@frozen
class Operation:
    """One op (a pure editor of single files) or action (a step that sees the whole guest)."""

    name: str
    kind: str
    says: str
    text: str
    arguments: tuple[Argument, ...]


def operation(name: str) -> Operation:
    """Return what there is to know of an op or action. Raises KeyError where there is none of this name."""
    kind = "op" if name in OPS else "action"
    function = find_op(name) if name in OPS else find_action(name)
    text = inspect.cleandoc(function.__doc__ or "")
    says = " ".join(text.partition("\n\n")[0].split())
    return Operation(name, kind, says, text, arguments_of(function))


def operations() -> list[Operation]:
    """Return every op, then every action, by name."""
    return [operation(name) for name in (*sorted(OPS), *sorted(ACTIONS))]


def arguments_of(function: Callable[..., object]) -> tuple[Argument, ...]:
    """Return a function's arguments behind the first one, which is what it works on."""
    hints = typing.get_type_hints(function)
    return tuple(_argument(name, one, hints.get(name, str)) for name, one in _parameters(function))


def _parameters(function: Callable[..., object]) -> list[tuple[str, inspect.Parameter]]:
    return list(inspect.signature(function).parameters.items())[1:]


def _argument(name: str, parameter: inspect.Parameter, hint: object) -> Argument:
    required = parameter.default is parameter.empty
    default = None if required else parameter.default
    plain = list(default) if isinstance(default, tuple | frozenset) else default
    return Argument(name, kind_of_type(hint), required, plain)
