"""What a pickle of torch spells, understood without the pickle module: nothing is looked up, called or nested.

A state dict is a mapping from names to calls of `_rebuild_tensor_v2` on storages. The thirty opcodes that spell one are carried
out here on words, numbers and flat records. A container remembers of anything else its kind alone, names are words, and
opcodes and members are counted: time and memory stay in proportion to the file, whatever it says.
"""

import io
import pickletools
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

LARGEST = 16 << 20  # bytes
_OPCODES = 250_000  # a tensor takes about forty
_STACK = 10_000  # values waiting for their container, which picklers fill by thousands
_DEPTH = 16  # of marks: a state dict's metadata needs three
_MEMBERS = 64  # of a tuple: numpy has as many axes
_COUNT = 2**48  # of numbers in a storage

_DTYPES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool",
}  # fmt: skip


class Storage(NamedTuple):
    """A run of numbers that lies beside the pickle."""

    dtype: str
    key: str
    size: int


class View(NamedTuple):
    """A tensor: numbers of a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Other(NamedTuple):
    """Something that is no tensor, by the name of its type."""

    kind: str


def read(file: io.BytesIO) -> Any:
    """What the next pickle of the file spells: a number, a word, a list, or a mapping of `View`s.

    Raises: ValueError for an opcode or a global name that tensors do not need, or what they cannot mean.
    """
    stack, marks, memo = [], [], {}

    def marked() -> list[Any]:
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if count > _OPCODES or len(stack) > _STACK:
                raise ValueError(f"refused: more than {_OPCODES:,} opcodes, or {_STACK:,} open values")
            match opcode.name:
                case "PROTO" | "STOP":
                    pass
                case "MARK":
                    if len(marks) == _DEPTH:
                        raise ValueError(f"refused: values more than {_DEPTH} deep")
                    marks.append(len(stack))
                case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE":
                    stack.append(argument)
                case "NONE":
                    stack.append(None)
                case "NEWTRUE" | "NEWFALSE":
                    stack.append(opcode.name == "NEWTRUE")
                case "BINPUT" | "LONG_BINPUT":
                    if argument > _OPCODES:  # pyright: ignore[reportOptionalOperand]
                        raise ValueError("refused: a memo of more objects than any state dict has")
                    memo[argument] = stack[-1]
                case "BINGET" | "LONG_BINGET":
                    stack.append(memo[argument])
                case "EMPTY_TUPLE" | "EMPTY_LIST" | "EMPTY_DICT":
                    stack.append({"EMPTY_TUPLE": (), "EMPTY_LIST": [], "EMPTY_DICT": {}}[opcode.name])
                case "TUPLE":
                    stack.append(_tuple(marked()))
                case "TUPLE1" | "TUPLE2" | "TUPLE3":
                    members = [stack.pop() for _ in range(int(opcode.name[-1]))]
                    stack.append(_tuple(members[::-1]))
                case "APPEND" | "APPENDS":
                    items = marked() if opcode.name == "APPENDS" else [stack.pop()]
                    _top(stack, list).extend(map(_member, items))
                case "SETITEM" | "SETITEMS":
                    items = marked() if opcode.name == "SETITEMS" else [stack.pop(), stack.pop()][::-1]
                    _top(stack, dict).update(_pairs(items))
                case "GLOBAL":
                    if argument not in _GLOBALS:
                        raise ValueError(f"refused: {argument.replace(' ', '.')[:80]} is not a tensor")  # pyright: ignore[reportOptionalMemberAccess]
                    stack.append(_GLOBALS[argument])
                case "BINPERSID":
                    stack.append(_storage(stack.pop()))
                case "REDUCE":
                    arguments, function = stack.pop(), stack.pop()
                    if not (function is _mapping or function is _view) or type(arguments) is not tuple:
                        raise ValueError("refused: a call of what is no tensor")
                    stack.append(function(arguments))
                case "BUILD":
                    stack.pop()  # the metadata of a state dict, which nobody needs
                    _top(stack, dict)
                case name:
                    raise ValueError(f"refused: opcode {name} is not in files of tensors")
        return stack.pop()
    except (IndexError, KeyError):
        raise ValueError("refused: a pickle that does not spell tensors") from None


def _top(stack: list[Any], kind: type) -> Any:
    if type(stack[-1]) is not kind:
        raise ValueError(f"refused: a {type(stack[-1]).__name__} for a {kind.__name__} does not spell tensors")
    return stack[-1]


def _flat(value: Any) -> Any:
    """What a container remembers: so that none ever holds another."""
    return value if isinstance(value, View | Storage | str | int | float | None) else Other(type(value).__name__)


def _tuple(items: list[Any]) -> tuple:
    if len(items) > _MEMBERS:
        raise ValueError(f"refused: a tuple of {len(items)} does not spell tensors")
    return tuple(item if _whole(item) else _member(item) for item in items)


def _member(value: Any) -> Any:
    if type(value) in (list, tuple):
        raise ValueError("refused: lists or tuples inside one another do not spell tensors")
    return _flat(value)


def _pairs(items: list[Any]) -> Iterable[tuple[str, Any]]:
    names, values = items[::2], items[1::2]
    if wrong := [name for name in names if type(name) is not str]:
        raise ValueError(f"refused: a name is a {type(wrong[0]).__name__}, not a word")
    return zip(names, map(_flat, values), strict=True)


def _whole(value: Any) -> bool:
    return type(value) is tuple and all(type(number) is int for number in value)


def _counts(value: Any) -> bool:
    return _whole(value) and all(0 <= count < _COUNT for count in value)


def _storage(reference: Any) -> Storage:
    match reference:
        case ("storage", str(dtype), str(key), str(), int(size)) | (
            "storage",
            str(dtype),
            str(key),
            str(),
            int(size),
            None,
        ):
            if dtype in _DTYPES.values() and re.fullmatch(r"\w{1,40}", key) and _counts((size,)):
                return Storage(dtype, key, size)
    raise ValueError("refused: a reference to something that is not a storage")


def _mapping(arguments: tuple) -> dict[str, Any]:
    if arguments:
        raise ValueError("refused: a mapping made from a call does not spell tensors")
    return {}


def _view(arguments: tuple) -> View:
    match arguments:
        case (Storage() as storage, int(offset), tuple(shape), tuple(strides), *_):
            if _counts((offset,)) and _counts(shape) and _counts(strides) and len(shape) == len(strides):
                return View(storage, offset, shape, strides)
    raise ValueError("refused: a tensor that is not described by a storage, an offset, a shape and strides")


_GLOBALS: dict[str, str | Callable[[tuple], Any]] = {
    "collections OrderedDict": _mapping,
    "torch._utils _rebuild_tensor_v2": _view,
    **{f"torch {name}": dtype for name, dtype in _DTYPES.items()},
}
