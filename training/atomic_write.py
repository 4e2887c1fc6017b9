"""Files and folders that appear whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from training.errors import SettingsError


def replace_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file beside `path`, then move it there in one step.

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
        os.chmod(name, 0o644)  # as any file: mkstemp made it private
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def replace_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder that holds exactly `files`, then move it to `folder`; an earlier one is replaced.

    Raises:
        SettingsError: The place cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as problem:
        raise SettingsError(f"{folder}: cannot be written ({problem.strerror}): choose another place") from None
    try:
        for name, content in files.items():
            (made / name).write_bytes(content)
        made.chmod(0o755)
        if folder.exists():
            retired = made.with_name(made.name + ".old")
            os.replace(folder, retired)
            os.replace(made, folder)
            shutil.rmtree(retired)
        else:
            os.replace(made, folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
