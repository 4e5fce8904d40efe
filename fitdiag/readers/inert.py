"""The pickle language without its danger: literals are rebuilt, everything else stays inert.

A pickle is a program, and loading one runs whatever it names. This machine carries out the
program's stack operations itself and calls nothing: what the pickle wants to import, construct or
call becomes an :class:`Inert` that only remembers what it was given.
"""

from __future__ import annotations

import io
import itertools
import pickletools
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Inert", "PickleError", "load"]

#: more operations than this are no training history
OPERATIONS = 2_000_000

#: characters of text made bytes, which is how older protocols write an array's data
ENCODED = 1 << 26

#: whole numbers of more digits are refused before they are parsed, which takes quadratic time
DIGITS = re.compile(rb"[IL]-?[0-9]{1000}")

_MARK = object()


class PickleError(ValueError):
    """A pickle that is damaged, or that is more than a training history."""


@dataclass(eq=False, slots=True)
class Inert:
    """What stands for any class, function or object that a pickle names.

    Parameters
    ----------
    name : str
        Its module and name, with a blank between.
    args : tuple
        What the pickle wanted to call it with.
    items : dict or None
        What was put into it by key.
    entries : list or None
        What was appended to it.
    state : object
        What was set as its state, usually its ``__dict__``.
    """

    name: str
    args: tuple[Any, ...] = ()
    items: dict[Any, Any] | None = None
    entries: list[Any] | None = None
    state: object = None


def load(data: bytes) -> object:
    """Return what a pickle holds.

    Parameters
    ----------
    data : bytes
        A pickle of any protocol; what follows its end is ignored.

    Returns
    -------
    object
        Built of None, bool, int, float, str, bytes, list, tuple, dict and Inert.

    Raises
    ------
    PickleError
        If it is damaged or too large.
    """
    if DIGITS.search(data):
        raise PickleError("it holds a number of a thousand digits")
    machine = _Machine()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes in the texts of damaged files
            return machine.carry_out(data)
    except PickleError:
        raise
    except (ValueError, LookupError, TypeError, ArithmeticError, MemoryError) as error:
        raise PickleError(f"it is damaged ({type(error).__name__})") from None


class _Machine:
    """The stack with its marks, and the memo."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.encoded = 0

    def carry_out(self, data: bytes) -> object:
        """Return what is on top of the stack at the end."""
        operations = pickletools.genops(io.BytesIO(data))
        for code, arg, _ in itertools.islice(operations, OPERATIONS):
            if code.name == "STOP":
                return self.pop()
            self.run(code.name, arg)
        raise PickleError(f"it has no end within {OPERATIONS:,} operations")

    def run(self, name: str, arg: Any) -> None:  # noqa: ANN401  # a pickle holds anything
        if name in LITERALS:
            self.stack.append(arg)
        elif name in ACTIONS:
            ACTIONS[name](self, arg)
        elif name not in IGNORED:
            raise PickleError(f"its operation {name} is none of a history's")

    def pop(self) -> Any:  # noqa: ANN401  # a pickle holds anything
        value = self.stack.pop()
        if value is _MARK:
            raise PickleError("its marks are wrong")
        return value

    def top(self) -> Any:  # noqa: ANN401  # a pickle holds anything
        value = self.stack[-1]
        if value is _MARK:
            raise PickleError("its marks are wrong")
        return value

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop_two(self) -> tuple[Any, Any]:
        last = self.pop()
        return self.pop(), last

    def pop_mark(self) -> list[Any]:
        for at in range(len(self.stack) - 1, -1, -1):
            if self.stack[at] is _MARK:
                found = self.stack[at + 1 :]
                del self.stack[at:]
                return found
        raise PickleError("its marks are wrong")

    def append_all(self, values: list[Any]) -> None:
        target = self.top()
        if isinstance(target, Inert):
            target.entries = target.entries or []
            target.entries.extend(values)
        elif isinstance(target, list):
            target.extend(values)

    def set_all(self, flat: list[Any]) -> None:
        target = self.top()
        if isinstance(target, Inert):
            target.items = target.items or {}
            target = target.items
        if isinstance(target, dict):
            target.update(_pair(flat))

    def call(self, args: object) -> None:
        """Stand for a call of what is on top of the stack; text made bytes is made bytes."""
        function = self.pop()
        args = args if isinstance(args, tuple) else ()
        name = function.name if isinstance(function, Inert) else ""
        if name == "_codecs encode" and args and isinstance(args[0], str):
            self.encoded += len(args[0])
            if self.encoded > ENCODED:
                raise PickleError("it encodes one text again and again")
            self.push(args[0].encode("latin-1", "replace"))
        else:
            self.push(Inert(name, args))

    def build(self, state: object) -> None:
        target = self.top()
        if isinstance(target, Inert):
            target.state = state

    def name(self, name: object, module: object) -> None:
        self.push(Inert(f"{module} {name}"))

    def tuple_of(self, count: int) -> None:
        values = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(values)))


def _pair(flat: list[Any]) -> dict[Any, Any]:
    """Return keys and values that follow each other; a key is a literal, or it is dropped."""
    return {
        key: value
        for key, value in zip(flat[::2], flat[1::2], strict=False)
        if isinstance(key, (str, int, float, bytes))
    }


#: operations whose argument is a value
LITERALS = frozenset(
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"),
        *("BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    }
)

#: operations that change nothing here
IGNORED = frozenset({"PROTO", "FRAME", "READONLY_BUFFER"})

#: what every other operation does; pickles that lean on objects outside of them are refused
ACTIONS: dict[str, Callable[[_Machine, Any], object]] = {
    "MARK": lambda machine, _: machine.push(_MARK),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "POP": lambda machine, _: machine.stack.pop(),
    "POP_MARK": lambda machine, _: machine.pop_mark(),
    "DUP": lambda machine, _: machine.push(machine.top()),
    "GET": lambda machine, at: machine.push(machine.memo[int(at)]),
    "BINGET": lambda machine, at: machine.push(machine.memo[at]),
    "LONG_BINGET": lambda machine, at: machine.push(machine.memo[at]),
    "PUT": lambda machine, at: machine.memo.update({int(at): machine.top()}),
    "BINPUT": lambda machine, at: machine.memo.update({at: machine.top()}),
    "LONG_BINPUT": lambda machine, at: machine.memo.update({at: machine.top()}),
    "MEMOIZE": lambda machine, _: machine.memo.update({len(machine.memo): machine.top()}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_SET": lambda machine, _: machine.push(Inert("builtins set")),
    "LIST": lambda machine, _: machine.push(machine.pop_mark()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_mark())),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "DICT": lambda machine, _: machine.push(_pair(machine.pop_mark())),
    "FROZENSET": lambda machine, _: machine.push(
        Inert("builtins frozenset", tuple(machine.pop_mark()))
    ),
    "APPEND": lambda machine, _: machine.append_all([machine.pop()]),
    "APPENDS": lambda machine, _: machine.append_all(machine.pop_mark()),
    "ADDITEMS": lambda machine, _: machine.append_all(machine.pop_mark()),
    "SETITEM": lambda machine, _: machine.set_all(list(machine.pop_two())),
    "SETITEMS": lambda machine, _: machine.set_all(machine.pop_mark()),
    "GLOBAL": lambda machine, name: machine.push(Inert(name)),
    "STACK_GLOBAL": lambda machine, _: machine.name(machine.pop(), machine.pop()),
    "INST": lambda machine, name: machine.push(Inert(name, tuple(machine.pop_mark()))),
    "OBJ": lambda machine, _: machine.push(Inert("object", tuple(machine.pop_mark()))),
    "REDUCE": lambda machine, _: machine.call(machine.pop()),
    "NEWOBJ": lambda machine, _: machine.call(machine.pop()),
    "NEWOBJ_EX": lambda machine, _: machine.call(machine.pop_two()[0]),
    "BUILD": lambda machine, _: machine.build(machine.pop()),
    "PERSID": lambda machine, _: machine.push(Inert("persistent")),
    "BINPERSID": lambda machine, _: machine.push(Inert("persistent", (machine.pop(),))),
    "EXT1": lambda machine, _: machine.push(Inert("extension")),
    "EXT2": lambda machine, _: machine.push(Inert("extension")),
    "EXT4": lambda machine, _: machine.push(Inert("extension")),
}
