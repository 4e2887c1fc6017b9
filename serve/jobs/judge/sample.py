"""The order in which answers are judged.

Every lane has the same number of answers. Half of them are those of which the router was least sure.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations, zip_longest
from random import Random

from serve.jobs.judge.logged_answers import LoggedAnswer

Pair = tuple[LoggedAnswer, LoggedAnswer]


def stratified(answers: Sequence[LoggedAnswer], count: int, rng: Random) -> list[LoggedAnswer]:
    """Return answers of all lanes in turn: for each lane alternately a doubtful one and a random one."""
    by_lane: dict[str, list[LoggedAnswer]] = defaultdict(list)
    for answer in answers:
        by_lane[answer.lane_id].append(answer)
    queues = [_in_turn(by_lane[lane_id], rng) for lane_id in sorted(by_lane)]
    return [answer for round_ in zip_longest(*queues) for answer in round_ if answer is not None][:count]


def pairs(answers: Sequence[LoggedAnswer], count: int, rng: Random) -> list[Pair]:
    """Return pairs of answers of two lanes to the same prompt, in random order. Each answer is in one pair at most."""
    by_prompt: dict[bytes, list[LoggedAnswer]] = defaultdict(list)
    for answer in answers:
        by_prompt[answer.prompt_digest].append(answer)
    all_pairs = [pair for alike in by_prompt.values() for pair in _pairs_of(alike)]
    rng.shuffle(all_pairs)
    return all_pairs[:count]


def _in_turn(answers: list[LoggedAnswer], rng: Random) -> list[LoggedAnswer]:
    drawn = rng.sample(answers, len(answers))
    doubtful = sorted(answers, key=lambda answer: -answer.doubt)
    ordered = [answer for both in zip(doubtful, drawn, strict=True) for answer in both]
    return list(dict.fromkeys(ordered))


def _pairs_of(alike: list[LoggedAnswer]) -> list[Pair]:
    paired: set[str] = set()
    result = []
    for first, second in combinations(alike, 2):
        is_free = first.request_id not in paired and second.request_id not in paired
        if is_free and first.lane_id != second.lane_id:
            paired |= {first.request_id, second.request_id}
            result.append((first, second))
    return result
