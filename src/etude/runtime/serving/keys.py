"""API keys: 256 random bits each, of which the server keeps the SHA-256 only.

The file has a line `NAME SHA256` for each key. A hash that is slow on purpose would protect short passwords; these keys
cannot be guessed, and a fast hash leaves nothing to exhaust.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from pathlib import Path
from typing import Final

from etude.core.errors import MistakeError, sentence
from etude.core.files import write_text

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LINE: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})\s+([0-9a-f]{64})")


class Keys:
    """The keys that are let in.

    Args:
        hashes: SHA-256 of each key by its name.
    """

    def __init__(self, hashes: dict[str, str]) -> None:
        self._hashes = [(name, bytes.fromhex(digest)) for name, digest in hashes.items()]

    @classmethod
    def read(cls, path: Path, *, may_be_empty: bool = False) -> Keys:
        """Read a file of keys.

        Args:
            path: the file.
            may_be_empty: whether it may hold no key, and nobody is let in: all may have been taken back.

        Raises:
            MistakeError: if it cannot be read, holds a name twice, no key, or anything else.
        """
        found = _read(path)
        if not found and not may_be_empty:
            remedy = "Make one with --new-key NAME."
            raise MistakeError(sentence("serve", str(path), "a file with at least one key", "none", remedy))
        return cls(found)

    def name_of(self, key: str) -> str | None:
        """Return the name of a key, or none; every known key is compared, in constant time."""
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        found = None
        for name, known in self._hashes:
            if hmac.compare_digest(digest, known):
                found = name
        return found


def add_key(path: Path, name: str) -> str:
    """Make a key, add its hash to the file, and return the key: it is shown this once.

    Raises:
        MistakeError: if the name is taken or is no name.
    """
    if not _NAME.fullmatch(name):
        raise MistakeError(sentence("serve", "--new-key", "a name of letters, digits, '.', '_' and '-'", name))
    before = ""
    if path.exists():
        if name in _read(path):
            raise MistakeError(sentence("serve", "--new-key", f"a name that {path} does not hold yet", name))
        before = path.read_text(encoding="utf-8")
        before += "" if not before or before.endswith("\n") else "\n"
    key = secrets.token_urlsafe(32)
    write_text(path, f"{before}{name} {hashlib.sha256(key.encode()).hexdigest()}\n")
    path.chmod(0o640)
    return key


def _read(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise MistakeError(f"serve: {path}: cannot be read as a file of keys ({error}).") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        matched = _LINE.fullmatch(line.strip())
        if matched is None:
            raise MistakeError(sentence("serve", f"{path}, line {number}", "NAME SHA256", "something else"))
        if matched[1] in found:
            rule = "a name that no line before it has"
            raise MistakeError(
                sentence("serve", f"{path}, line {number}", rule, matched[1], "One key would not count.")
            )
        found[matched[1]] = matched[2]
    return found
