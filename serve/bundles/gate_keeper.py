"""Promotes a bundle automatically when the gate says that it is better."""

import logging
from pathlib import Path

from router.errors import RouterError
from router.verdict import VERDICT_FILE, read_verdict
from serve.bundles.bundle_keeper import BundleKeeper
from serve.errors import ConflictError, MovedOnError, ServeError

ACTOR = "gateway"
_log = logging.getLogger("llmdeal.bundles")


class GateKeeper:
    """Looks for new verdicts, and promotes a bundle whose verdict says that it is better.

    If several workers try, one of them succeeds. A bundle that was the champion before is not promoted automatically
    again: it may have been rolled back for a reason.

    Args:
        keeper: Keeper that changes the stages.
    """

    def __init__(self, keeper: BundleKeeper) -> None:
        self._keeper = keeper
        self._seen: dict[str, tuple[int, str]] = {}

    def promote_the_better(self, champion_version: str) -> bool:
        """Promote a better bundle, if there is one; return whether one was promoted. Blocks for a short time."""
        for name, folder in self._keeper.store.folders().items():
            written_at = _written_at(folder)
            if written_at is None or self._seen.get(name) == (written_at, champion_version):
                continue
            is_promoted = self._is_promoted(name, folder, champion_version)
            if is_promoted is None:
                continue
            self._seen[name] = (written_at, champion_version)
            if is_promoted:
                return True
        return False

    def _is_promoted(self, name: str, folder: Path, champion_version: str) -> bool | None:
        """Return whether the bundle was promoted; None: another change came first, so this must be tried again."""
        try:
            verdict = read_verdict(folder)
            if verdict is None or not verdict.is_better or verdict.champion_version != champion_version:
                return False
            former_champions = {
                entry.change.standing.version
                for entry in self._keeper.history.entries()
                if entry.change.stage == "champion"
            }
            if verdict.challenger_version in former_champions:
                return False
            standing = self._keeper.promote(name, ACTOR, action="auto-promote", note=" ".join(verdict.reasons)[:500])
        except MovedOnError as error:
            _log.info("%s is not promoted by this worker: %s", name, error)
            return None
        except ConflictError as error:
            _log.info("%s is not promoted here: %s", name, error)
            return False
        except (RouterError, ServeError) as error:
            _log.error("%s is better by its verdict, but cannot be promoted: %s", name, error)
            return False
        _log.warning("promoted %s, as the gate says that it is better than %s", standing.version, champion_version)
        return True


def _written_at(folder: Path) -> int | None:
    try:
        return (folder / VERDICT_FILE).stat().st_mtime_ns
    except OSError:
        return None
