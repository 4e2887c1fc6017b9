"""Measures one round of one subject: several kinds of load, memory and processor time."""

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.load import apply_load
from bench.processes import ServerProcess
from bench.subjects import Subject

CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Durations:
    """Length of each kind of load, in seconds; the warm-up is not counted."""

    warm_up_s: float
    many_s: float
    single_s: float
    streams_s: float
    single_streams_s: float


FULL = Durations(warm_up_s=2, many_s=5, single_s=3, streams_s=4, single_streams_s=2)
QUICK = Durations(warm_up_s=0.5, many_s=1.5, single_s=1, streams_s=1, single_streams_s=1)


@dataclass(frozen=True, slots=True)
class Round:
    """The figures of one round of one subject; a figure that does not exist is NaN.

    Args:
        per_second: Answers per second at `CONNECTIONS` connections.
        p50_ms, p99_ms: Latency at `CONNECTIONS` connections.
        single_p50_ms, single_p99_ms: Latency at one connection.
        streams_per_second: Streamed answers per second at `CONNECTIONS` connections.
        across_per_second: Streamed answers per second at `CONNECTIONS` connections, Anthropic's dialect to OpenAI's.
        chunks_per_second: Chunks per second of the streams in the provider's own dialect.
        first_chunk_p50_ms: Median time from the request to the first chunk of its stream at one connection.
        cpu_us: Processor time of the server per request at `CONNECTIONS` connections, microseconds.
        stream_cpu_us: Processor time of the server per stream, microseconds.
        rss_mb: Resident memory after the load, MB.
        first_answer_s: Time from the start of the process to its first answer.
        n_answers: Number of right answers, over all loads.
        errors: Kind of error -> count, over all loads.
    """

    per_second: float
    p50_ms: float
    p99_ms: float
    single_p50_ms: float
    single_p99_ms: float
    streams_per_second: float
    across_per_second: float
    chunks_per_second: float
    first_chunk_p50_ms: float
    cpu_us: float
    stream_cpu_us: float
    rss_mb: float
    first_answer_s: float
    n_answers: int
    errors: Counter[str]


def measure(subject: Subject, server: ServerProcess, durations: Durations) -> Round:
    """Load a running server in several ways and measure it."""
    warm_up = apply_load(subject.whole, CONNECTIONS, durations.warm_up_s)
    cpu_before_s = server.cpu_s()
    many = apply_load(subject.whole, CONNECTIONS, durations.many_s)
    cpu_s = server.cpu_s() - cpu_before_s
    single = apply_load(subject.whole, 1, durations.single_s)
    cpu_before_streams_s = server.cpu_s()
    streams = apply_load(subject.streamed, CONNECTIONS, durations.streams_s)
    streams_cpu_s = server.cpu_s() - cpu_before_streams_s
    across = apply_load(subject.across, CONNECTIONS, durations.streams_s) if subject.across else None
    single_streams = apply_load(subject.streamed, 1, durations.single_streams_s)
    rss_mb = server.rss_mb()
    loads = [warm_up, many, single, streams, single_streams, *([across] if across else [])]
    return Round(
        per_second=many.per_second,
        p50_ms=many.percentile_ms(0.5),
        p99_ms=many.percentile_ms(0.99),
        single_p50_ms=single.percentile_ms(0.5),
        single_p99_ms=single.percentile_ms(0.99),
        streams_per_second=streams.per_second,
        across_per_second=across.per_second if across else math.nan,
        chunks_per_second=streams.chunks_per_second,
        first_chunk_p50_ms=single_streams.first_chunk_ms(0.5),
        cpu_us=cpu_s * 1e6 / max(len(many.latencies_ms), 1),
        stream_cpu_us=streams_cpu_s * 1e6 / max(len(streams.latencies_ms), 1),
        rss_mb=rss_mb,
        first_answer_s=server.first_answer_s,
        n_answers=sum(len(load.latencies_ms) for load in loads),
        errors=sum((load.errors for load in loads), Counter()),
    )


def median_round(rounds: Sequence[Round]) -> Round:
    """Return the median of each figure, and the sum of answers and errors."""

    def median(name: str) -> float:
        return statistics.median(float(getattr(one, name)) for one in rounds)

    return Round(
        per_second=median("per_second"),
        p50_ms=median("p50_ms"),
        p99_ms=median("p99_ms"),
        single_p50_ms=median("single_p50_ms"),
        single_p99_ms=median("single_p99_ms"),
        streams_per_second=median("streams_per_second"),
        across_per_second=median("across_per_second"),
        chunks_per_second=median("chunks_per_second"),
        first_chunk_p50_ms=median("first_chunk_p50_ms"),
        cpu_us=median("cpu_us"),
        stream_cpu_us=median("stream_cpu_us"),
        rss_mb=median("rss_mb"),
        first_answer_s=median("first_answer_s"),
        n_answers=sum(one.n_answers for one in rounds),
        errors=sum((one.errors for one in rounds), Counter()),
    )
