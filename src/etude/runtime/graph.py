"""What may be in a graph before onnxruntime sees it: standard operators only, and all its weights inside the file.

An ONNX file can name files beside it for its weights, and operators of libraries. The runtime has no ONNX library to
read it with, so the few fields of the protocol-buffer format that matter are walked here. Field numbers: onnx.proto3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from etude.core.errors import BundleError, sentence

_STANDARD: Final = {b"", b"ai.onnx"}
_MAX_DEPTH: Final = 16
_TAG_BITS: Final = 32
"""Readers of protocol buffers drop what a tag has above: another field would be seen there than here."""
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5

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
    """Refuse a graph that reaches outside of its own bytes.

    Args:
        content: an ONNX file.
        name: what errors call it.

    Raises:
        BundleError: if it is no ONNX file, refers to external data, or uses operators of its own.
    """
    try:
        _check_message(memoryview(content), "model", name, 0)
    except (IndexError, ValueError) as error:
        raise _refused(name, "a whole ONNX file", str(error)) from error


def _check_message(content: memoryview, kind: str, name: str, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise _refused(name, f"nested at most {_MAX_DEPTH} deep", depth)
    for field, wire, value in _fields(content):
        _check_field(kind, field, wire, value, name)
        inner = _INSIDE[kind].get(field)
        if inner is not None and isinstance(value, memoryview):
            if inner in ("training", "function"):
                raise _refused(name, "a graph of standard operators", f"a {inner} of its own")
            _check_message(value, inner, name, depth + 1)


def _check_field(kind: str, field: int, wire: int, value: memoryview | int, name: str) -> None:
    """Look at the fields that say where weights lie and whose operators are meant."""
    if kind == "tensor" and (field == 13 or (field == 14 and value != 0)):
        raise _refused(name, "a graph with its weights inside", "external data")
    is_domain = (kind == "node" and field == 7) or (kind == "opset" and field == 1)
    if is_domain and isinstance(value, memoryview) and bytes(value) not in _STANDARD:
        raise _refused(name, "a graph of standard operators", bytes(value[:60]).decode("utf-8", "replace"))


def _fields(content: memoryview) -> Iterator[tuple[int, int, memoryview | int]]:
    """Give the number, the wire type and the value of each field of a message."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        if key >> _TAG_BITS:
            raise ValueError(f"a tag of more than {_TAG_BITS} bits")
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(content, at)
            yield field, wire, value
            continue
        if wire == _BYTES:
            length, at = _varint(content, at)
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            length = 8 if wire == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at + length > len(content):
            raise ValueError("it ends too early")
        yield field, wire, content[at : at + length]
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
