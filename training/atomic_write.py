"""Writes files and folders in one step: a reader sees the old one or the whole new one."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from training.errors import SettingsError


def replace_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file next to `path`, then move it there in one step.

    Raises:
        SettingsError: The folder does not exist or cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as problem:
        raise SettingsError(f"{path}: cannot be written ({problem.strerror}): choose another place") from None
    try:
        with os.fdopen(handle, "wb") as stream:
            write(stream)
        os.chmod(name, 0o644)  # mkstemp makes the file private; give it the usual rights
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def replace_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder that holds exactly `files`, then move it to `folder`; an earlier one is replaced.

    Raises:
        SettingsError: The parent folder cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as problem:
        raise SettingsError(f"{folder}: cannot be written ({problem.strerror}): choose another place") from None
    try:
        for name, content in files.items():
            (scratch / name).write_bytes(content)
        scratch.chmod(0o755)
        if folder.exists():
            retired = scratch.with_name(scratch.name + ".old")
            os.replace(folder, retired)
            os.replace(scratch, folder)
            shutil.rmtree(retired)
        else:
            os.replace(scratch, folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
