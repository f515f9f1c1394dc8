"""Plain record types that cost next to nothing to define: ``@frozen`` and ``@mutable``.

They behave as dataclasses with ``slots=True`` do (PEP 557, PEP 681), in the small part of it that guestfix
uses, ``__post_init__`` included. A run of guestfix defines some 150 such types, and the standard library's
decorator takes half a millisecond for each, most of a report's time; here ``__init__`` is compiled for the types
that are used often: three of four are not, and compiling takes as long as setting the fields of fifty records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, dataclass_transform

T = TypeVar("T")

OFTEN = 64
"""Records of a type that are made before its own ``__init__`` is compiled."""

if TYPE_CHECKING:
    from typing import Protocol

    class Made(Protocol):
        """A record: the names of its fields, and all their values at once."""

        __record_fields__: tuple[str, ...]
        _record_values: object


class Says:
    """What JSON Schema says of a type and Python can't, as a note of ``Annotated``: ``Says(enum=("one", "two"))``."""

    __slots__ = ("words",)

    def __init__(self, **words: object) -> None:
        self.words = words


class _Factory:
    """A field's default that is regenerated for each record."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[], object]) -> None:
        self.make = make


def field(*, default_factory: Callable[[], object]) -> Any:
    """Return the default of a field whose value is regenerated for each record."""
    return _Factory(default_factory)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """Make the class a record that can't be changed and can be hashed where its fields can."""
    return _build(cls, {"__setattr__": _refuse, "__delattr__": _refuse, "__hash__": _hash})


@dataclass_transform(field_specifiers=(field,))
def mutable(cls: type[T]) -> type[T]:
    """Make the class a record whose fields can be set; it can't be hashed."""
    return _build(cls, {"__hash__": None})


def preset(record: object, name: str, value: object) -> None:
    """Set a field of a frozen record, which only its own ``__post_init__`` may do."""
    type(record).__dict__[name].__set__(record, value)


def names_of(record: object) -> tuple[str, ...]:
    """Return the names of a record's fields, or of a record type's; empty for anything else."""
    names: tuple[str, ...] = getattr(record, "__record_fields__", ())
    return names


def replace(record: T, **changes: object) -> T:
    """Return a copy of the record with some fields changed."""
    values = {name: getattr(record, name) for name in names_of(record)}
    make: Callable[..., T] = type(record)
    return make(**{**values, **changes})


def asdict(value: object) -> Any:
    """Return records as dictionaries, in lists, tuples and dictionaries too; other values as they are.

    A field that is named after a word of Python (``pass_``) loses its underscore.
    """
    names = names_of(value)
    if names:
        return {name.rstrip("_"): asdict(getattr(value, name)) for name in names}
    if isinstance(value, list | tuple):
        return [asdict(item) for item in value]
    return {key: asdict(item) for key, item in value.items()} if isinstance(value, dict) else value


def _build(cls: type[T], methods: Mapping[str, object]) -> type[T]:
    names = tuple(cls.__annotations__)
    defaults = {name: cls.__dict__[name] for name in names if name in cls.__dict__}
    own = {name: value for name, value in cls.__dict__.items() if name not in (*names, "__dict__", "__weakref__")}
    shared = {"__eq__": _equal, "__repr__": _show, "__reduce__": _reduce, **methods}
    extra = {
        "__slots__": names,
        "__record_fields__": names,
        "__match_args__": names,
        "_record_values": property(attrgetter(*names)) if names else (),
        "__init__": _first_init,
        "_record_defaults": defaults,
        "_record_uses": [0],
        "_record_setters": None,
        "_record_post": "__post_init__" in own,
    }
    body = {**shared, **own, **{name: value for name, value in extra.items() if name not in own}}
    metaclass: Callable[..., type[T]] = type(cls)
    made = metaclass(cls.__name__, cls.__bases__, body)
    made.__qualname__ = cls.__qualname__
    return made


def _first_init(self: Any, *args: object, **kwargs: object) -> None:
    """Set the fields one by one; the type's own ``__init__`` is compiled where it is used often, or used wrongly."""
    cls = type(self)
    names, defaults, uses = cls.__record_fields__, cls._record_defaults, cls._record_uses
    uses[0] += 1
    if uses[0] > OFTEN:
        values: tuple[object, ...] = ()
    elif len(args) == len(names) and not kwargs:
        values = args
    else:
        values = _values_of(names, defaults, args, kwargs)
    if not values:
        cls.__init__ = _compile_init(cls)
        cls.__init__(self, *args, **kwargs)
        return
    if uses[0] == 1:
        cls._record_setters = tuple(cls.__dict__[name].__set__ for name in names)
    for set_field, value in zip(cls._record_setters, values, strict=True):
        set_field(self, value)
    if cls._record_post:
        self.__post_init__()


def _values_of(
    names: tuple[str, ...], defaults: dict[str, object], args: tuple[object, ...], kwargs: dict[str, object]
) -> tuple[object, ...]:
    """Return the fields of a record that is made with these arguments; empty where they are wrong."""
    left, values = len(kwargs), [*args]
    for name in names[len(args) :]:
        if name in kwargs:
            left -= 1
            values.append(kwargs[name])
        elif name in defaults:
            default = defaults[name]
            values.append(default.make() if default.__class__ is _Factory else default)
        else:
            return ()
    return () if left or len(args) > len(names) else tuple(values)


def _compile_init(cls: Any) -> Callable[..., None]:
    space: dict[str, Any] = {"_Factory": _Factory}
    parameters, lines = ["self"], []
    for name in cls.__record_fields__:
        space[f"_set_{name}"] = cls.__dict__[name].__set__
        if name not in cls._record_defaults:
            parameters.append(name)
        else:
            space[f"_default_{name}"] = cls._record_defaults[name]
            parameters.append(f"{name}=_default_{name}")
            if isinstance(cls._record_defaults[name], _Factory):
                lines.append(f"    if {name}.__class__ is _Factory: {name} = {name}.make()")
        lines.append(f"    _set_{name}(self, {name})")
    if cls._record_post:
        lines.append("    self.__post_init__()")
    source = f"def __init__({', '.join(parameters)}):\n" + ("\n".join(lines) or "    pass")
    exec(source, space)  # noqa: S102 - the names are a class body's annotations, as in dataclasses and namedtuple
    made: Callable[..., None] = space["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


def _equal(self: Made, other: Any) -> object:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return self._record_values == other._record_values


def _hash(self: Made) -> int:
    return hash((self.__class__, self._record_values))


def _show(self: Made) -> str:
    fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__record_fields__)
    return f"{type(self).__qualname__}({fields})"


def _reduce(self: Made) -> tuple[object, ...]:
    return type(self), tuple(getattr(self, name) for name in self.__record_fields__)


def _refuse(self: object, name: str, *_: object) -> NoReturn:
    raise AttributeError(f"can't change field {name!r} of a frozen {type(self).__name__}")
