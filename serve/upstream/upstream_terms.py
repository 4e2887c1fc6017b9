"""The terms on which a provider answers on one account: how it limits, refuses and caches."""

from dataclasses import dataclass

from router.lane import Lane
from serve.upstream.prompt_cache import PromptCache
from serve.upstream.refusals import Refusal


@dataclass(frozen=True, slots=True)
class UpstreamTerms:
    """The terms of one lane.

    Args:
        limits_each_model: Every model has limits of its own; False: all models of the account share them.
        requests_per_minute, tokens_per_minute: As the operator knows them; None: as the provider's headers say, if they do.
        counts_max_output: The provider counts the largest answer allowed when the request comes in, not the one that it gives.
        refusals: What some of its refusals mean, besides their status.
        prompt_cache: How it caches prompts; None: it does not, or nobody says how.
        organisation: Whose limits they are, where several keys share them; None: the lane's account's own.
    """

    limits_each_model: bool = False
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    counts_max_output: bool = False
    refusals: tuple[Refusal, ...] = ()
    prompt_cache: PromptCache | None = None
    organisation: str | None = None

    def pool_of(self, lane: Lane) -> str:
        """Return the name of the pool that the lane's limits belong to: keys of one organisation share it."""
        account = f"{lane.provider}/{self.organisation or lane.account}"
        return f"{account}/{lane.upstream_model}" if self.limits_each_model else account


NO_TERMS = UpstreamTerms()
