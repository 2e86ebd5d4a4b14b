"""What may be in a graph before onnxruntime sees it: standard operators without loops, and all its weights inside.

An ONNX file can name files beside it for its weights, and operators of libraries; it can go round for ever, or ask for
petabytes in one step. The runtime has no ONNX library to read it with, so the few fields of the protocol-buffer format
that matter are walked here. Field numbers: onnx.proto3.

A graph without loops ends: each of its steps is done once for a batch. What they take together is not bounded: forty
steps that each double a value outgrow any memory. Who runs bundles of strangers has to bound the process.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from etude.core.errors import BundleError, sentence

_STANDARD: Final = {b"", b"ai.onnx"}
_MAX_DEPTH: Final = 16
_TAG_BITS: Final = 32
"""Readers of protocol buffers drop what a tag has above: another field would be seen there than here."""
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
_LOOPS: Final = {b"Loop", b"Scan", b"SequenceMap"}
"""Operators that run a graph inside of them again and again. What is exported here has none; an `If` runs one of its
graphs once."""
_TOLD_HOW_MUCH: Final = {b"ConstantOfShape": (0,), b"Expand": (1,), b"Tile": (1,), b"Resize": (2, 3)}
"""Operators that make as much as an input tells them, and the places where that input may be."""
_MOST_NUMBERS: Final = 1 << 30
"""What such an input may come to: 4 GiB of float32, and more than the largest picture has levels."""
_SMALL: Final = 1 << 10
"""Bytes of a tensor that may tell a size; what is larger are weights."""
_SHOWN: Final = 8
_FLOATS, _INTEGERS = 1, 7
"""Kinds of tensors that tell sizes."""

# Message kinds, with the fields that lead to other messages.
_INSIDE: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph", 8: "opset", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
    "opset": {},
}


def check_graph(content: bytes, name: str = "model.onnx") -> None:
    """Refuse a graph that reaches outside of its own bytes, that loops, or that asks for a huge value in one step.

    Args:
        content: an ONNX file.
        name: what errors call it.

    Raises:
        BundleError: if it is no ONNX file, refers to external data, uses operators of its own or loops, or if a
            constant tells one of its operators to make more than any network does.
    """
    sizes = _Sizes()
    try:
        _check_message(memoryview(content), "model", name, sizes, 0)
    except (IndexError, ValueError, struct.error) as error:
        raise _refused(name, "a whole ONNX file", str(error)) from error
    sizes.check(name)


def _check_message(content: memoryview, kind: str, name: str, sizes: _Sizes, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise _refused(name, f"nested at most {_MAX_DEPTH} deep", depth)
    for number, _, value in _fields(content):
        _check_field(kind, number, value, name)
        inner = _INSIDE[kind].get(number)
        if inner is not None and isinstance(value, memoryview):
            if inner in ("training", "function"):
                raise _refused(name, "a graph of standard operators", f"a {inner} of its own")
            _check_message(value, inner, name, sizes, depth + 1)
    if kind == "node":
        sizes.note_node(content)
    elif kind == "tensor" and len(content) <= _SMALL:
        sizes.note_constant(*_constant(content))


def _check_field(kind: str, number: int, value: memoryview | int, name: str) -> None:
    """Look at the fields that say where weights lie, which operators are meant, and whose."""
    if kind == "tensor" and (number == 13 or (number == 14 and value != 0)):
        raise _refused(name, "a graph with its weights inside", "external data")
    if kind == "node" and number == 4 and isinstance(value, memoryview) and bytes(value) in _LOOPS:
        raise _refused(name, "a graph without loops", bytes(value).decode())
    is_domain = (kind == "node" and number == 7) or (kind == "opset" and number == 1)
    if is_domain and isinstance(value, memoryview) and bytes(value) not in _STANDARD:
        raise _refused(name, "a graph of standard operators", bytes(value[:60]).decode("utf-8", "replace"))


@dataclass
class _Sizes:
    """The constants by which operators are told how much to make."""

    told: dict[bytes, tuple[float, ...]] = field(default_factory=dict)
    """The numbers of small constants, by name."""
    asked: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Operators that are told a size, each with the name of the value that tells it."""

    def note_constant(self, name: bytes, numbers: tuple[float, ...]) -> None:
        """Keep the numbers of a constant; inside of an attribute it has no name, as inputs that are left out."""
        if name:
            self.told[name] = numbers

    def note_node(self, node: memoryview) -> None:
        """Keep what a node makes, where it is a constant, or what it is told by."""
        inputs, outputs, operators, attributes = (_texts(node, number) for number in (1, 2, 4, 5))
        for operator in map(bytes, operators):
            if operator == b"Constant" and outputs and attributes and len(attributes[0]) <= _SMALL:
                self.note_constant(bytes(outputs[0]), _told_by(attributes[0]))
            self.asked += [
                (operator, bytes(inputs[place])) for place in _TOLD_HOW_MUCH.get(operator, ()) if place < len(inputs)
            ]

    def check(self, name: str) -> None:
        """Refuse an operator that is told to make more than any network does."""
        for operator, teller in self.asked:
            numbers = self.told.get(teller, ())
            if not math.prod(max(float(abs(side)), 1.0) for side in numbers) <= _MOST_NUMBERS:  # nor is NaN a size
                rule = f"a graph whose {operator.decode()} is told to make at most {_MOST_NUMBERS:,} numbers"
                raise _refused(name, rule, " x ".join(f"{side:g}" for side in numbers[:_SHOWN]))


def _told_by(attribute: memoryview) -> tuple[float, ...]:
    """Return the numbers of an attribute: of a tensor, or a list."""
    tensors = _texts(attribute, 5)
    return _constant(tensors[0])[1] if tensors else (*_integers(attribute, 8), *_floats(attribute, 7))


def _constant(tensor: memoryview) -> tuple[bytes, tuple[float, ...]]:
    """Return name and numbers of a small tensor; no numbers of a kind that tells no size."""
    name, raw = (b"".join(_texts(tensor, number)) for number in (8, 9))
    kind = next((value for number, _, value in _fields(tensor) if number == 2), 0)
    if kind == _INTEGERS:
        return name, (*struct.unpack(f"<{len(raw) // 8}q", raw), *_integers(tensor, 7))
    if kind == _FLOATS:
        return name, (*struct.unpack(f"<{len(raw) // 4}f", raw), *_floats(tensor, 4))
    return name, ()


def _texts(content: memoryview, wanted: int) -> list[memoryview]:
    """Return the texts and messages in the fields of a number."""
    return [value for number, _, value in _fields(content) if number == wanted and isinstance(value, memoryview)]


def _integers(content: memoryview, wanted: int) -> list[int]:
    """Return the whole numbers in the fields of a number, which stand there one by one or packed."""
    found: list[int] = []
    for number, _, value in _fields(content):
        if number != wanted:
            continue
        at, packed = 0, value if isinstance(value, memoryview) else memoryview(b"")
        found += [value] if isinstance(value, int) else []
        while at < len(packed):
            one, at = _varint(packed, at)
            found.append(one)
    return [one - (1 << 64) if one >> 63 else one for one in found]


def _floats(content: memoryview, wanted: int) -> list[float]:
    """Return the numbers in the fields of a number: four bytes each, one by one or packed."""
    raw = b"".join(_texts(content, wanted))
    return list(struct.unpack(f"<{len(raw) // 4}f", raw))


def _fields(content: memoryview) -> Iterator[tuple[int, int, memoryview | int]]:
    """Give the number, the wire type and the value of each field of a message."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        if key >> _TAG_BITS:
            raise ValueError(f"a tag of more than {_TAG_BITS} bits")
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(content, at)
            yield number, wire, value
            continue
        if wire == _BYTES:
            length, at = _varint(content, at)
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            length = 8 if wire == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at + length > len(content):
            raise ValueError("it ends too early")
        yield number, wire, content[at : at + length]
        at += length


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _refused(name: str, rule: str, found: object) -> BundleError:
    return BundleError(sentence("bundle", name, rule, found, "Export it anew with `etude export`."))
