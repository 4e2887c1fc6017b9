"""The `llmdeal` command. Commands of other packages join through the entry-point group `llmdeal.commands`.

`train`, `predict` and `evaluate` join that way, so serving and training never import each other.
"""

import sys
from importlib.metadata import entry_points

import typer

from serve.cli.accounts_command import accounts
from serve.cli.budgets_command import budgets
from serve.cli.bundle_command import bundle
from serve.cli.calibrate_command import calibrate
from serve.cli.exploration_command import exploration
from serve.cli.export_command import export
from serve.cli.judge_command import judge
from serve.cli.keys_command import keys
from serve.cli.local_command import local
from serve.cli.new_key_command import new_key
from serve.cli.prices_command import prices
from serve.cli.provider_keys_command import provider_keys
from serve.cli.route_command import route
from serve.cli.serve_command import serve
from serve.cli.settings_command import settings
from serve.cli.usage_command import usage
from serve.cli.vault_command import vault
from serve.cli.watch_command import watch
from serve.cli.workloads_command import workloads

COMMAND_GROUP = "llmdeal.commands"
_TRAINING_HINT = "needs the training packages: pip install 'llmdeal[train]'"


def build_command_line(wanted: str | None) -> typer.Typer:
    """Return the command line.

    Args:
        wanted: Name of the command about to run; None: none. Only that command of another package is imported, because
            their imports are heavy.
    """
    command_line = typer.Typer(
        name="llmdeal",
        help="The best quality per dollar for each LLM request, on the provider keys you already own.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for command in (
        serve,
        local,
        route,
        workloads,
        calibrate,
        judge,
        usage,
        watch,
        exploration,
        export,
        new_key,
        settings,
    ):
        command_line.command()(command)
    for name, group in _GROUPS.items():
        command_line.add_typer(group, name=name)
    for entry_point in sorted(entry_points(group=COMMAND_GROUP), key=lambda entry: entry.name):
        loaded = entry_point.load() if entry_point.name == wanted else None
        if isinstance(loaded, typer.Typer):
            command_line.add_typer(loaded, name=entry_point.name)
        elif loaded is not None:
            command_line.command(name=entry_point.name, rich_help_panel="Training")(loaded)
        else:
            command_line.command(
                name=entry_point.name, rich_help_panel="Training", help=_HELP.get(entry_point.name, "")
            )(_unused)
    return command_line


_GROUPS = {
    "accounts": accounts,
    "keys": keys,
    "provider-keys": provider_keys,
    "budgets": budgets,
    "prices": prices,
    "bundle": bundle,
    "vault": vault,
}
_HELP = {
    "accounts-learn": "Fit what each account's judged answers say beyond a bundle, for that account alone.",
    "train": "Fit a quality model on graded answers and export it as a bundle.",
    "predict": "Write what a bundle predicts for every prompt and model.",
    "simulate": "Replay graded answers as traffic, learn every night, and show what each way of routing gives up.",
    "evaluate": "Judge a bundle on graded answers: quality-cost curve, calibration, baselines.",
    "retrain": "Learn from logged requests and their feedback: a challenger bundle and a verdict.",
    "policy": "Judge routing policies and bundles on your own logs.",
}


def _unused() -> None:
    """Take the place of a command that is listed and not about to run."""


def run() -> None:
    """Run the command line of this process."""
    wanted = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), None)
    try:
        build_command_line(wanted)()
    except ModuleNotFoundError as error:
        # The training commands import what is heavy only once they run.
        if wanted not in _HELP:
            raise
        typer.secho(f"llmdeal {wanted}: {_TRAINING_HINT} (missing: {error.name})", err=True, fg="red")
        raise SystemExit(2) from None
