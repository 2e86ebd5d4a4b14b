"""The base of every record and every piece of configuration: frozen, validated, JSON.

What validates a class is built when the class is first used (`defer_build`): a command that needs five of them does not
wait for fifty.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from etude.core.counting import how_many
from etude.core.errors import MistakeError
from etude.core.files import write_text


class Config(BaseModel):
    """A piece of configuration: frozen, unknown fields refused, one line of doc per field."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, defer_build=True)


class Record(BaseModel):
    """Something that happened: frozen, written as JSON beside its data, with the number of its format."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, ser_json_inf_nan="constants", defer_build=True
    )
    FORMAT: ClassVar[int] = 1

    format: int = 1
    """The number of the format that this record was written in."""

    def save(self, path: Path) -> None:
        """Write the record whole or not at all."""
        write_text(path, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a record of this format or of an earlier one.

        Raises:
            MistakeError: if the file is not such a record, or comes from a later version.
        """
        try:
            content = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise MistakeError(f"{path}: cannot be read as a record ({error}).") from error
        written = content.get("format", 0) if isinstance(content, dict) else 0
        if written > cls.FORMAT:
            raise MistakeError(
                f"{path}: format must be at most {cls.FORMAT}. Got {written}. "
                f"It was written by a later version of Étude: update Étude to read it."
            )
        try:
            return cls.model_validate(cls.upgrade(content))
        except ValidationError as error:
            raise MistakeError(
                f"{path}: is not a {cls.__name__} ({how_many(error.error_count(), 'fault')})."
            ) from error

    @classmethod
    def upgrade(cls, content: dict[str, Any]) -> dict[str, Any]:
        """Bring the content of an earlier format to the present one; subclasses that changed override this."""
        return content


def canonical(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return the one JSON text of a value: sorted keys, no spaces.

    >>> canonical({"b": 1, "a": [1.0, None]})
    '{"a":[1.0,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def fingerprint(value: Any, length: int = 16) -> str:  # noqa: ANN401 - any JSON value
    """Return the first `length` hex digits of the SHA-256 of a value's canonical JSON.

    >>> fingerprint({"a": 1}) == fingerprint({"a": 1})
    True
    """
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:length]
