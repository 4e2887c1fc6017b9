"""Which lanes' prompt caches hold a conversation, so that a decision can price staying on its lane."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from router.arrays import Floats
from router.price_table import TokenUsage
from serve.lanes.statistics import DecayedMeans
from serve.upstream.prompt_cache import PromptCache

_MOST_CONVERSATIONS = 20_000
_ONE_HOUR_S = 3_600.0
# Until answers were seen: a cache that should hold the prompt does so every second time.
_ASSUMED_HIT_SHARE = 0.5
_ASSUMED_HIT_WEIGHT = 2.0


@dataclass(frozen=True, slots=True)
class _Warm:
    tokens: int
    until_s: float


class WarmCaches:
    """Remembers how much of each conversation each lane's prompt cache holds.

    It is kept in this process alone, for the 20,000 conversations that were answered last. Lanes of one model that
    differ by their effort of reasoning share a cache.

    Args:
        caches: Terms of each lane's prompt cache, in the rows' order; None: it has none, or its terms are not known.
        monotonic: Clock, in seconds that only go forward.
        together: Rows that share each row's cache, its own included, ascending; None: each row has its own.
    """

    def __init__(
        self,
        caches: Sequence[PromptCache | None],
        monotonic: Callable[[], float],
        together: Sequence[Sequence[int]] | None = None,
    ) -> None:
        self._caches = caches
        self._together = [[row] for row in range(len(caches))] if together is None else together
        self._monotonic = monotonic
        self._warm: OrderedDict[str, dict[int, _Warm]] = OrderedDict()
        self._hit_share = DecayedMeans(np.full(len(caches), _ASSUMED_HIT_SHARE), _ASSUMED_HIT_WEIGHT)

    def adopt(self, former: "WarmCaches", row_here: Mapping[int, int]) -> None:
        """Take over the conversations of a former table, as row there -> row here."""
        for conversation_id, warm_rows in former._warm.items():
            kept = {row_here[row]: warm for row, warm in warm_rows.items() if row in row_here}
            if kept:
                self._warm[conversation_id] = kept
        self._hit_share.adopt(former._hit_share, [(here, there) for there, here in row_here.items()])

    def expected_tokens(self, conversation_id: str, prompt_tokens: int) -> Floats | None:
        """Return the prompt tokens that each lane should find in its cache, shape (n_lanes,); None: no lane any."""
        warm_rows = self._warm.get(conversation_id)
        if warm_rows is None:
            return None
        now = self._monotonic()
        alive = {row: warm for row, warm in warm_rows.items() if warm.until_s > now}
        if not alive:
            del self._warm[conversation_id]
            return None
        tokens = np.zeros(len(self._caches))
        for row, warm in alive.items():
            tokens[self._together[row]] = min(warm.tokens, prompt_tokens)
        return tokens * self._hit_share.read(now)

    def note_answer(self, conversation_id: str, row: int, usage: TokenUsage) -> None:
        """Note what the lane's cache holds after an answer, and whether it held before what was expected."""
        cache = self._caches[row]
        if cache is None or usage.is_estimated:
            return
        now = self._monotonic()
        warm_rows = self._warm.get(conversation_id, {})
        first = self._together[row][0]  # under which the cache is kept
        before = warm_rows.get(first)
        if before is not None and before.until_s > now:
            self._hit_share.note(
                row, min(usage.cached_tokens / max(min(before.tokens, usage.prompt_tokens), 1), 1.0), now
            )
        held = usage.prompt_tokens if cache.is_automatic else usage.cached_tokens + usage.cache_write_tokens
        if held < cache.least_tokens or held == 0:
            return
        lifetime_s = _ONE_HOUR_S if usage.cache_write_1h_tokens else cache.lifetime_s
        self._warm[conversation_id] = {**warm_rows, first: _Warm(held, now + lifetime_s)}
        self._warm.move_to_end(conversation_id)
        if len(self._warm) > _MOST_CONVERSATIONS:
            self._warm.popitem(last=False)
