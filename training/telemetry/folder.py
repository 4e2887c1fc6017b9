"""Finds the telemetry exports in a folder and refuses damaged ones and ones that are newer than this program.

It reads manifests and hashes files; it reads no rows.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from router.telemetry_schema import EXPORT_FORMAT, EXPORT_MANIFEST, FORGOTTEN_LIST, TELEMETRY_SCHEMA_VERSION
from training.errors import TelemetryError

_OLDEST_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class TelemetryExport:
    """One export, as its manifest describes it.

    Args:
        folder: Folder of the export.
        schema_version: Schema version of its columns.
        until: First moment after its window, as the manifest writes it.
        attempts, feedback, lanes: Parquet files, in the manifest's order; version 1 has no lanes.
        forgotten: Files that list the erased accounts; version 1 has none.
    """

    folder: Path
    schema_version: int
    until: str
    attempts: tuple[Path, ...]
    feedback: tuple[Path, ...]
    lanes: tuple[Path, ...]
    forgotten: tuple[Path, ...]


def find_exports(folder: Path) -> tuple[TelemetryExport, ...]:
    """Return the export in `folder`, or the exports in its subfolders, the newest window first.

    The newest comes first because its rows take precedence over copies in older exports.

    Raises:
        TelemetryError: There is no export, or a file of one is missing or changed, or its schema version is unknown.
    """
    manifests = (
        [folder / EXPORT_MANIFEST]
        if (folder / EXPORT_MANIFEST).is_file()
        else sorted(folder.glob(f"*/{EXPORT_MANIFEST}"))
    )
    if not manifests:
        raise TelemetryError(
            folder, "holds no telemetry export", "make one with 'llmdeal export --since 30d --out FOLDER'"
        )
    exports = [_read_export(manifest) for manifest in manifests]
    return tuple(sorted(exports, key=lambda export: (export.until, str(export.folder)), reverse=True))


def _read_export(manifest: Path) -> TelemetryExport:
    content = _read_manifest(manifest)
    version = content.get("schema_version")
    if not isinstance(version, int) or version < _OLDEST_VERSION:
        raise TelemetryError(manifest, f"has no valid schema version, but {version!r}", "make the export again")
    if version > TELEMETRY_SCHEMA_VERSION:
        raise TelemetryError(
            manifest,
            f"is of telemetry schema version {version}, this program reads up to version {TELEMETRY_SCHEMA_VERSION}",
            "upgrade llmdeal here",
        )
    files = content.get("files")
    if not isinstance(files, list) or not isinstance(content.get("until"), str):
        raise TelemetryError(manifest, "lacks its list of files or its window", "make the export again")
    paths = [_checked_file(manifest, file) for file in files]
    parts = (_of_part(manifest.parent, paths, part) for part in ("attempts", "feedback", "lanes", FORGOTTEN_LIST))
    return TelemetryExport(manifest.parent, version, content["until"], *parts)


def _read_manifest(manifest: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TelemetryError(manifest, f"cannot be read ({type(error).__name__})", "make the export again") from None
    if not isinstance(content, dict) or content.get("format") != EXPORT_FORMAT:
        raise TelemetryError(
            manifest, f"is not the manifest of an export (format {EXPORT_FORMAT!r})", "give the folder of one"
        )
    return content


def _checked_file(manifest: Path, file: Any) -> Path:
    if not isinstance(file, dict) or not isinstance(file.get("path"), str) or not isinstance(file.get("sha256"), str):
        raise TelemetryError(manifest, f"describes a file as {file!r}", "make the export again")
    path = manifest.parent / str(file["path"])
    if not path.resolve().is_relative_to(manifest.parent.resolve()):
        raise TelemetryError(manifest, f"names a file outside its folder, {file['path']!r}", "make the export again")
    try:
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise TelemetryError(
            path, f"cannot be read ({error.strerror})", "copy the whole export, or make it again"
        ) from None
    if digest != file["sha256"]:
        raise TelemetryError(
            path, "is not what the manifest says (its SHA-256 differs)", "copy the export again, or make it again"
        )
    return path


def _of_part(folder: Path, paths: Sequence[Path], part: str) -> tuple[Path, ...]:
    return tuple(path for path in paths if path.is_relative_to(folder / part))


def files_of(exports: Iterable[TelemetryExport], part: str) -> tuple[Path, ...]:
    """Return the files of a part (`attempts`, `feedback`, `lanes` or `forgotten`) of all exports, in their order."""
    return tuple(path for export in exports for path in getattr(export, part))
