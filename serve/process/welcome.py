"""The welcome that the operator reads when the gateway has started: address, lanes and a first request to try."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from router.quality_basis import QualityBasis
from serve.gateway import ResourceSet
from serve.identity.first_start import is_first_start

_SNIPPET = """from openai import OpenAI

client = OpenAI(
    base_url="{url}/v1",
    api_key="{virtual_key}",
)
answer = client.chat.completions.create(
    model="smart-route",
    messages=[{{"role": "user", "content": "What is 17 * 23?"}}],
)
print(answer.choices[0].message.content, answer.usage)"""


def print_welcome(url: str, resources: ResourceSet, console: Console | None = None) -> None:
    """Print the welcome, to standard error by default, so that standard output stays free."""
    console = console or Console(stderr=True, highlight=False)
    table = resources.directory.table
    lanes = Table.grid(padding=(0, 2))
    chosen = resources.directory.choosable
    n_choosable = Counter(lane.provider for lane in chosen.lanes)
    bases: dict[str, Counter[QualityBasis]] = defaultdict(Counter)
    for row, lane in enumerate(chosen.lanes):
        bases[lane.provider][chosen.quality_basis(row)] += 1
    for provider, count in sorted(Counter(lane.provider for lane in table.lanes).items()):
        by_name = count - n_choosable[provider]
        lanes.add_row(
            f"[bold]{provider}[/]",
            f"{count} lane{'s' if count > 1 else ''}",
            f"[dim]{', '.join(_known_by(bases[provider], by_name))}[/]",
        )
    virtual_key = "ll_live_…" if resources.key_ring.is_closed else "not-needed-on-loopback"
    console.print(
        f"[bold green]llmdeal[/] listens on [bold]{url}/v1[/]  "
        f"[dim]quality model {resources.routing.directory.router_version}[/]"
    )
    console.print(lanes)
    first = "/start" if is_first_start(resources.key_ring, resources.identity.accounts) else "/"
    console.print(f"Dashboard: [bold]{url}{first}[/]", soft_wrap=True)
    for notice in (*resources.notices, *resources.prices.notices()):
        console.print(Text("• " + notice, style="yellow"))
    console.print(
        Panel(
            Text(_SNIPPET.format(url=url, virtual_key=virtual_key)),
            title="Try it",
            title_align="left",
            expand=False,
            border_style="dim",
        )
    )


def _known_by(bases: Mapping[QualityBasis, int], n_by_name: int) -> Iterator[str]:
    """Yield how many lanes of a provider smart-route knows by what, and how many it never chooses."""
    n_graded = sum(bases[basis] for basis in ("own_grades", "trained", "calibrated"))
    n_scored = bases["published_scores"]
    for count, what in (
        (n_graded, "by graded answers"),
        (n_scored, "by published scores"),
        (sum(bases.values()) - n_graded - n_scored, "by family and price"),
        (n_by_name, "only by name"),
    ):
        if count:
            yield f"{count} {what}"
