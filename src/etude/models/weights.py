"""Where files of weights lie, and what they are by content."""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path

from etude.core.errors import MissingPartError, ModelError, sentence

FOLDER_VARIABLE = "ETUDE_WEIGHTS"


def locate_file(field: str, value: str, base: Path) -> Path:
    """Return the absolute path of a safetensors file.

    Args:
        field: name of the field of the specification, for the message.
        value: the path as given.
        base: folder that it is relative to.

    Raises:
        ModelError: if it is no file, or in a format that could carry code.
    """
    path = (base / Path(value).expanduser()).resolve()
    if path.suffix != ".safetensors":
        remedy = "Other formats can carry code; convert it with safetensors.torch.save_file(state_dict, path)."
        raise ModelError(sentence("model", field, "a .safetensors file", value, remedy))
    if not path.is_file():
        raise ModelError(sentence("model", field, "an existing file", str(path), "Paths start at the study file."))
    return path


def locate_weights(name: str, value: str, base: Path) -> Path:
    """Return the absolute path of a file of pretrained weights.

    Args:
        name: timm name of the network.
        value: the path as given: of the file, or of a folder that holds `<name>*.safetensors`.
        base: folder that it is relative to.

    Raises:
        MissingPartError: if it is not there; the text says which file, and how to bring it.
        ModelError: if it is in a format that could carry code.
    """
    path = (base / Path(value).expanduser()).resolve()
    if path.is_dir():
        found = _in_folder(path, name)
        if found is None:
            raise _missing_there(name, f"the folder {path} holds none of them", path / f"{name}.safetensors")
        return found
    if path.exists() or path.suffix not in ("", ".safetensors"):
        return locate_file("weights", value, base)
    wanted = path if path.suffix else path / f"{name}.safetensors"
    raise _missing_there(name, f"there is no {path} (paths start at the study file)", wanted)


def locate_imagenet(name: str) -> Path:
    """Return the file of the ImageNet weights of a timm name.

    Looked for in the folder `$ETUDE_WEIGHTS` (`<name>*.safetensors`), then in the hub's cache, then on the hub.

    Raises:
        MissingPartError: if it is in none of them; the text says which file, and how to bring it.
    """
    local = _in_weights_folder(name)
    if local is not None:
        return local
    from etude.models.networks.timm import hub_file

    return hub_file(name)


def local_file(name: str) -> Path | None:
    """Return the file of the ImageNet weights of a timm name where it is at hand; nothing is downloaded."""
    found = _in_weights_folder(name)
    if found is not None:
        return found
    from huggingface_hub import constants

    # timm takes seconds to import: it is asked only where the hub's cache holds anything of its own.
    if not any(Path(constants.HF_HUB_CACHE).glob("models--timm--*")):
        return None
    from etude.models.networks.timm import cached_file

    return cached_file(name)


def missing_weights(name: str, hub_address: str, reason: str) -> MissingPartError:
    """Return the error for ImageNet weights that are nowhere."""
    folder = os.environ.get(FOLDER_VARIABLE)
    looked = f"${FOLDER_VARIABLE} ({folder})" if folder else f"${FOLDER_VARIABLE} (not set)"
    return MissingPartError(
        f"model {name}: its ImageNet weights are neither in {looked} nor in the hub's cache, and the hub gave "
        f"{reason}. {_how_to_bring(hub_address, f'{name}.safetensors in a folder')}, and set {FOLDER_VARIABLE} to that "
        f"folder; or leave `weights` out."
    )


def _missing_there(name: str, where: str, wanted: Path) -> MissingPartError:
    """Return the error for weights that are not where a path says."""
    from etude.models.networks.timm import hub_address

    address = hub_address(name)
    bring = f"Save them as {wanted}" if address is None else _how_to_bring(address, str(wanted))
    return MissingPartError(f"model {name}: its weights: {where}. {bring}; or leave `weights` out.")


def _how_to_bring(hub_address: str, wanted: str) -> str:
    return f"Download model.safetensors from {hub_address}, save it as {wanted}"


def _in_weights_folder(name: str) -> Path | None:
    """Return the file of a name in `$ETUDE_WEIGHTS`; none where it holds none, or is not set."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return _in_folder(Path(folder), name) if folder else None


def _in_folder(folder: Path, name: str) -> Path | None:
    """Return the file of a name in a folder: the exact name first, then the first that continues it."""
    exact = folder / f"{name}.safetensors"
    if exact.is_file():
        return exact.resolve()
    # `resnet50.tv_in1k` and `resnet50_imagenet1k` are resnet50; `resnet50d` and `resnet50_gn` are other networks.
    for separator in (".", "_imagenet", "_in1k", "-"):
        found = sorted(folder.glob(f"{name}{separator}*.safetensors"))
        if found:
            return found[0].resolve()
    return None


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    status = path.stat()
    return _sha256(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=64)
def _sha256(path: Path, mtime_ns: int, size: int) -> str:
    """Hash once a file that a study with many candidates asks for again and again."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
