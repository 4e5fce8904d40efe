"""Files of checkpoints: written whole or not at all, and read without running what is in them."""

from __future__ import annotations

import os
import pickle
import re
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import torch

from fitdiag.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["load_plain", "name_part", "put_in_place", "write_file"]

#: characters of a name found in a file that are shown
_SHOWN = 100


def name_part(path: Path) -> Path:
    """Return where a file is written before it is moved to its place."""
    return path.with_name(f".{path.name}.part")


def write_file(content: object, path: Path) -> None:
    """Write a file with :func:`torch.save`, whole or not at all, and safe from a power cut.

    Parameters
    ----------
    content : object
        What the file holds.
    path : Path
        The file; one that is there is replaced in one move.

    Raises
    ------
    OSError
        If the disk does not take it; what was there stays as it was.
    """
    part = name_part(path)
    try:
        with part.open("wb") as file:
            try:
                torch.save(content, file)
            except RuntimeError as error:  # torch's own words for a full disk
                cause = error.__context__
                raise cause if isinstance(cause, OSError) else OSError(str(error)) from error
            file.flush()
            os.fsync(file.fileno())
        put_in_place(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def put_in_place(part: Path, path: Path) -> None:
    """Move a file that is whole to its place, which is where it is looked for."""
    part.replace(path)


def _sync_folder(folder: Path) -> None:
    """Make the move itself last, where a folder can be synchronised at all."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def load_plain(path: Path) -> Any:  # noqa: ANN401 tensors and plain data of any shape
    """Return what a file holds: tensors and plain data, on the host; no code in it is run.

    Parameters
    ----------
    path : Path
        A file of :func:`torch.save`.

    Raises
    ------
    CheckpointError
        If it cannot be read, is damaged, or holds more than tensors and plain data.
    """
    try:
        _check_archive(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f", {named[1][:_SHOWN]} among it" if named else ""
        raise CheckpointError(
            f"{path} is refused: it holds more than tensors and plain data{what}, and loading "
            "that could run any code. Have its author save state dicts"
        ) from error
    except Exception as error:
        raise _describe_damage(path) from error


def _check_archive(path: Path) -> None:
    """Refuse what is no archive of torch's, cut short, or larger inside than outside."""
    with path.open("rb") as file:
        if not file.read(1):
            raise CheckpointError(f"{path} is empty: the program that wrote it was interrupted")
    try:
        with zipfile.ZipFile(path) as archive:
            inside = archive.infolist()
            packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in inside)
            if packed or sum(entry.file_size for entry in inside) > path.stat().st_size:
                raise CheckpointError(f"{path} is refused: torch.save() writes no such archive")
            whole = not _has_checksums() or archive.testzip() is None
    except zipfile.BadZipFile as error:
        raise _describe_damage(path) from error
    if not whole:
        raise _describe_damage(path)


def _has_checksums() -> bool:
    """Tell whether torch writes them, as it does unless the user has it leave them out."""
    wanted = getattr(torch.serialization, "get_crc32_options", None)
    return wanted is None or bool(wanted())


def _describe_damage(path: Path) -> CheckpointError:
    size = f"{path.stat().st_size:,} bytes"
    return CheckpointError(f"{path} is damaged or cut short, or no file of torch.save() ({size})")
