"""Downloads: resumed where they stopped, checked by their checksum, unpacked in a jail, whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from etude.core.errors import DataError, sentence
from etude.core.files import locked, storage_errors

_CHUNK = 1 << 20
_TIMEOUT_S = 30


def fetch_archive(url: str, md5: str, folder: Path, *, otherwise: str) -> Path:
    """Download a tar archive, check it, and unpack it as `folder`; nothing is done if the folder is there.

    What a stopped download left is taken up again. The checksum is the one that the publisher gives; MD5 finds damage,
    and the archive is unpacked as if it came from a stranger.

    Args:
        url: where the archive is.
        md5: its checksum, 32 hex digits.
        folder: where its content goes; a single folder at the top of the archive is left away.
        otherwise: what to do where there is no network: the end of the error's sentence.

    Returns:
        `folder`.

    Raises:
        DataError: if the archive cannot be fetched, is damaged, or holds what it should not.
        StorageError: if the disk is full or protected.
    """
    if folder.is_dir():
        return folder
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        archive = folder.parent / f"{folder.name}.download"
        with locked(archive.with_suffix(".lock")):
            if not folder.is_dir():  # another process may have fetched it meanwhile
                _download(url, archive, otherwise)
                _check(url, archive, md5)
                _unpack(archive, folder)
                archive.unlink()
    return folder


def _download(url: str, target: Path, otherwise: str) -> None:
    """Download the rest of a file."""
    try:
        have = target.stat().st_size if target.exists() else 0
        request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            resumed = answer.status == http.client.PARTIAL_CONTENT
            with target.open("ab" if resumed else "wb") as file:
                while chunk := answer.read(_CHUNK):
                    file.write(chunk)
                expected = answer.headers.get("Content-Length")
                written = file.tell() - (have if resumed else 0)
        if expected is not None and written < int(expected):
            raise ConnectionError(f"the connection ended after {written} of {expected} bytes; try again to go on")
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:  # everything is here already
            return
        raise _no_network(url, f"the server answered {error.code} {error.reason}", otherwise) from error
    except urllib.error.URLError as error:
        raise _no_network(url, str(error.reason), otherwise) from error
    except (ConnectionError, TimeoutError, http.client.HTTPException) as error:
        raise _no_network(url, str(error) or type(error).__name__, otherwise) from error


def _no_network(url: str, reason: str, otherwise: str) -> DataError:
    """Say that a file could not be fetched, and what to do instead."""
    return DataError(sentence("data", url, "an address that can be reached", reason, otherwise))


def _check(url: str, archive: Path, md5: str) -> None:
    """Check an archive, and remove it if it is damaged."""
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5:
        archive.unlink()
        remedy = "The damaged file was removed: try again."
        raise DataError(sentence("data", url, f"a file with MD5 {md5}", found, remedy))


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive beside `folder`, then rename."""
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(beside, filter="data")
        inside = list(beside.iterdir())
        content = inside[0] if len(inside) == 1 and inside[0].is_dir() else beside
        content.chmod(0o755)
        content.replace(folder)
    except tarfile.TarError as error:
        raise DataError(
            sentence("data", archive.name, "a tar archive of plain files", str(error), "Report it to its publisher.")
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
