"""Changes of the bundles' stages: promote, roll back, try as a canary or a shadow, stop.

They are made by people, through the API, and by the gateway itself.
"""

from dataclasses import dataclass
from typing import Literal

from router.bundle import Bundle, load_bundle
from router.verdict import Verdict
from serve.bundles.generation import load_generation
from serve.bundles.history import BundleHistory
from serve.bundles.staging import Action, Stage, StageChange, Staging, Standing, staging_of
from serve.bundles.store import BundleStore
from serve.bundles.verdict_shape import verdict_shape
from serve.errors import BadRequestError, ConflictError

_MOST_NOTE_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class BundleKeeper:
    """Changes which bundle is in which stage. Running gateways follow within a second.

    Every method reads the disk and the database. A method that changes something raises:

    - `NotFoundError`: there is no such bundle.
    - `router.errors.BundleError`: the bundle cannot be used.
    - `ConflictError`: the change does not fit the present stages.

    Args:
        store: The bundles on disk.
        history: History of the stages.
    """

    store: BundleStore
    history: BundleHistory

    def staging(self) -> Staging:
        """Return the present stages."""
        return staging_of(self.history.entries())

    def champion(self, staging: Staging) -> Standing:
        """Return the champion; if no bundle is promoted, the configured one.

        Raises:
            BundleError: No bundle is promoted, and the configured one cannot be used.
        """
        return staging.champion or Standing(self.store.configured.name, load_bundle(self.store.configured).version)

    def promote(
        self,
        name: str,
        actor: str,
        *,
        is_forced: bool = False,
        note: str = "",
        action: Literal["promote", "auto-promote"] = "promote",
    ) -> Standing:
        """Make a bundle the champion.

        Args:
            name: Name of the bundle.
            actor: Identity that promotes it.
            is_forced: Whether the gate's verdict is ignored.
            note: Reason; required if the promotion is forced.
            action: Action as it is recorded in the history.
        """
        if is_forced and not note.strip():
            raise BadRequestError("a forced promotion needs a note: say why", param="note")
        staging, stored = self.staging(), self.store.look_at(name)
        bundle = load_generation(stored.folder).bundle  # checks the bundle, and that it runs here
        champion = self.champion(staging)
        if bundle.version == champion.version:
            raise ConflictError(f"{name} is the champion already")
        if not is_forced:
            if stored.problem:
                raise ConflictError(stored.problem)
            _check_verdict(name, bundle, champion, stored.verdict)
        return self._add(action, "champion", Standing(name, bundle.version), actor, note, staging, stored.verdict)

    def rollback(self, actor: str, *, note: str = "") -> Standing:
        """Make the former champion the champion again; if there is none, the configured bundle."""
        staging = self.staging()
        if not staging.promoted:
            raise ConflictError("nothing was promoted that could be rolled back: the configured bundle is the champion")
        back = staging.promoted[-2] if len(staging.promoted) > 1 else None
        folder = self.store.configured if back is None else self.store.folder_of(back.bundle)
        bundle = load_generation(folder).bundle
        if back is not None and bundle.version != back.version:
            raise ConflictError(
                f"{folder}: holds {bundle.version} now, and {back.version} was the champion before: put it back"
            )
        return self._add("rollback", "champion", back or Standing(folder.name, bundle.version), actor, note, staging)

    def try_canary(self, name: str, share: float, actor: str, *, note: str = "") -> Standing:
        """Let a bundle decide a share of the conversations; it replaces the present canary."""
        if not 0 < share < 1:
            raise BadRequestError(f"share: {share} is not between 0 and 1", param="share")
        return self._on_trial("canary", name, share, actor, note)

    def try_shadow(self, name: str, actor: str, *, share: float = 1.0, note: str = "") -> Standing:
        """Ask a bundle on a share of the requests, and record its decisions; it replaces the present shadow.

        The champion goes on to decide.
        """
        if not 0 < share <= 1:
            raise BadRequestError(f"share: {share} is not above 0 and at most 1", param="share")
        return self._on_trial("shadow", name, share, actor, note)

    def stop(self, actor: str, stage: Stage | None = None, *, note: str = "") -> list[Standing]:
        """End the canary, the shadow, or both; return those that ended."""
        staging = self.staging()
        if stage == "champion":
            raise BadRequestError("a champion is not stopped: roll it back, or promote another", param="stage")
        on_trial: list[tuple[Stage, Standing | None]] = [("canary", staging.canary), ("shadow", staging.shadow)]
        ended = [(each, standing) for each, standing in on_trial if standing is not None and stage in (None, each)]
        if not ended:
            raise ConflictError(f"there is no {stage or 'canary and no shadow'} to be stopped")
        changes = [StageChange("stop", each, standing, _checked(note)) for each, standing in ended]
        self.history.add(changes, actor, staging.number)
        return [standing for _, standing in ended]

    def _on_trial(self, stage: Stage, name: str, share: float, actor: str, note: str) -> Standing:
        staging, folder = self.staging(), self.store.folder_of(name)
        bundle = load_generation(folder).bundle
        if bundle.version == self.champion(staging).version:
            raise ConflictError(f"{name} is the champion: there is nothing to be tried")
        action: Action = "canary" if stage == "canary" else "shadow"
        return self._add(action, stage, Standing(name, bundle.version, share), actor, note, staging)

    def _add(
        self,
        action: Action,
        stage: Stage,
        standing: Standing,
        actor: str,
        note: str,
        staging: Staging,
        verdict: Verdict | None = None,
    ) -> Standing:
        recorded_verdict = None if verdict is None else verdict_shape(verdict)
        change = StageChange(action, stage, standing, _checked(note), recorded_verdict)
        self.history.add([change], actor, staging.number)
        return standing


def _check_verdict(name: str, bundle: Bundle, champion: Standing, verdict: Verdict | None) -> None:
    remedy = "judge it, or force the promotion with a note that says why"
    if verdict is None:
        raise ConflictError(f"{name} was never judged against the champion {champion.version}: {remedy}")
    if verdict.challenger_version != bundle.version:
        raise ConflictError(
            f"{name}: the verdict is about {verdict.challenger_version}, the folder holds {bundle.version}: {remedy}"
        )
    if verdict.champion_version != champion.version:
        raise ConflictError(
            f"{name} was judged against {verdict.champion_version}, and the champion is {champion.version}: {remedy}"
        )
    if not verdict.is_better:
        raise ConflictError(f"{name} is not better than the champion, says the gate: {' '.join(verdict.reasons)}")


def _checked(note: str) -> str:
    if len(note) > _MOST_NOTE_CHARACTERS or "\0" in note:
        raise BadRequestError(f"note: at most {_MOST_NOTE_CHARACTERS} characters, and no NUL", param="note")
    return note.strip()
