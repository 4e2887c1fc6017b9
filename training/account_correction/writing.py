"""Writes corrections to where a gateway reads them: a folder of their own, or the bundle that they correct."""

import hashlib
import json
from pathlib import Path

from router.account_correction import ACCOUNT_CORRECTIONS_FILE, AccountCorrections
from router.bundle import MANIFEST_FILE, load_bundle
from training.atomic_write import replace_file, replace_folder
from training.errors import SettingsError


def write_corrections(folder: Path, corrections: AccountCorrections) -> Path:
    """Write `<bundle's version>.npz` in one step, replacing an earlier one, and return its path.

    Raises:
        SettingsError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise SettingsError(f"--out {folder}: cannot be created ({problem.strerror}): choose another folder") from None
    path = folder / f"{corrections.bundle_version}.npz"
    content = corrections.to_bytes()
    replace_file(path, lambda stream: stream.write(content))
    return path


def add_to_bundle(folder: Path, corrections: AccountCorrections) -> Path:
    """Put corrections into a bundle, with their hash in its manifest, and return their path.

    The bundle's version does not change.

    Raises:
        SettingsError: They correct another bundle, or the folder cannot be written.
        router.errors.BundleError: The bundle is unusable.
    """
    bundle = load_bundle(folder)
    if corrections.bundle_version != bundle.version:
        raise SettingsError(
            f"{folder}: this bundle is {bundle.version}, but the corrections are for {corrections.bundle_version}: fit "
            "them again"
        )
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    content = corrections.to_bytes()
    manifest = json.loads(files[MANIFEST_FILE])
    manifest["files"][ACCOUNT_CORRECTIONS_FILE] = hashlib.sha256(content).hexdigest()
    files[ACCOUNT_CORRECTIONS_FILE] = content
    files[MANIFEST_FILE] = (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()
    replace_folder(folder, files)
    return folder / ACCOUNT_CORRECTIONS_FILE
