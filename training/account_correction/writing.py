"""Puts corrections where a gateway finds them: in a folder of their own, or into the bundle that they correct."""

import hashlib
import json
from pathlib import Path

from router.account_correction import ACCOUNT_CORRECTIONS_FILE, AccountCorrections
from router.bundle import MANIFEST_FILE, load_bundle
from training.atomic_write import replace_file, replace_folder
from training.errors import SettingsError


def write_corrections(folder: Path, corrections: AccountCorrections) -> Path:
    """Write `<bundle's version>.npz` in one step, in place of an earlier one, and return where it lies.

    Raises:
        SettingsError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise SettingsError(f"--out {folder}: cannot be made ({problem.strerror}): choose another place") from None
    path = folder / f"{corrections.bundle_version}.npz"
    content = corrections.to_bytes()
    replace_file(path, lambda stream: stream.write(content))
    return path


def add_to_bundle(folder: Path, corrections: AccountCorrections) -> Path:
    """Put corrections into a bundle, with their hash in its manifest, and return where they lie. Its version stays what it is.

    Raises:
        SettingsError: They correct another bundle, or the folder cannot be written.
        router.errors.BundleError: The bundle is unusable.
    """
    bundle = load_bundle(folder)
    if corrections.bundle_version != bundle.version:
        raise SettingsError(
            f"{folder}: is {bundle.version}, the corrections are for {corrections.bundle_version}: fit them anew"
        )
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    content = corrections.to_bytes()
    manifest = json.loads(files[MANIFEST_FILE])
    manifest["files"][ACCOUNT_CORRECTIONS_FILE] = hashlib.sha256(content).hexdigest()
    files[ACCOUNT_CORRECTIONS_FILE] = content
    files[MANIFEST_FILE] = (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()
    replace_folder(folder, files)
    return folder / ACCOUNT_CORRECTIONS_FILE
