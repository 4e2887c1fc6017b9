"""The model card of a bundle: what it was trained on, how good it is, and what it does not know."""

from collections.abc import Mapping
from typing import Any

from router.pool_figures import POOLS_ENTRY
from training.bundle.parity import QUALITY_TOLERANCE, TOKENS_TOLERANCE, ParityReport

Manifest = Mapping[str, Any]  # parsed JSON that `training.bundle.writer` wrote


def render_model_card(manifest: Manifest, parity: ParityReport) -> str:
    """Return the card as Markdown."""
    corpus, settings, n_models = manifest["corpus"], manifest["settings"], len(manifest["trained_names"])
    tolerances = f"{QUALITY_TOLERANCE:g} in probability and {TOKENS_TOLERANCE:.1%} in tokens"
    sources = ", ".join(f"{name} ({count:,} prompts)" for name, count in corpus["sources"].items())
    base = f" It was fitted from {manifest['base']} as its prior." if manifest["base"] else ""
    return f"""# {manifest["name"]}

Predicts how well each of {n_models} language models answers a request, and how long the answer will be.
It reads the text of the request alone. llmdeal weighs the prediction against price and chooses.

## What it is
One ONNX graph of three parts:
- a static embedding table ({settings["n_dimensions"]} numbers per token, 8 bits each), distilled from
  {manifest["teacher"]},
- {settings["n_members"]} small networks that read the embedding, counts of structural marks, and what the
  request says of the answer's length and form,
- a calibration.

Feature version {manifest["features_version"]}, seed {manifest["seed"]}.{base}

## What it was trained on
{corpus["prompts"]:,} prompts and {corpus["answers"]:,} graded answers:
{sources}.
The manifest holds the hashes of the files and the number of graded answers of every model. The answers of the shipped
bundle's corpus were graded by a program that compared them with reference answers.

## How good it is
{_learned_from_logs(manifest)}{_measures_table(manifest["measures"])}
## What it does not know
- **Models that it has not met.** They get a prior from `data/models.yaml`, or from their price and family, and
  the difficulty of the prompt. Their uncertainty is larger, and the explanation of each request says so.
  `llmdeal calibrate` replaces the prior by graded answers.
- **Other kinds of requests.** The corpus decides which kinds of prompts it knows. The shipped bundle's reference models
  were graded on exam questions, mathematics, code, trivia and reasoning, in English. For other kinds of requests
  its probabilities for these models are extrapolations.
- **Mistakes of the graders.** Some graders are strict, for example those of trivia. They counted good answers as bad.
  The probabilities for these prompts are too low for every model; the order of the models suffers less.
- **Change.** It was fitted to answers of fixed model versions. Providers can change the model behind a name.
- **The middle of long texts.** It reads the first 600 and the last 1,400 characters.
- **Its own uncertainty, fully.** The stated uncertainty comes from the disagreement of its networks and the number of
  grades. It does not grow as fast as it should for prompts unlike those of the corpus.

{_catalogue(manifest)}{_pools(manifest)}## Exactness
The graph was compared with the fitted networks on all {parity.n_prompts:,} prompts.
They agree within {tolerances}.
The same corpus and seed give the same bytes on the same machine with the same library versions. Elsewhere sums may run
in another order, and the last digits of the weights differ.

## Models
Ability: log odds of a good answer to the average prompt of the corpus.

| model | graded answers | ability |
|---|---|---|
{_ability_rows(manifest)}
"""


def _catalogue(manifest: Manifest) -> str:
    catalogue = manifest.get("catalogue")
    if not catalogue:
        return ""
    sources = ", ".join(f"{name} ({count:,} prompts)" for name, count in catalogue["prompts"].items())
    return f"""## Catalogue models
For {catalogue["models"]:,} models on sale ({catalogue["rows"]:,} with their efforts of reasoning) it holds beliefs that
are linear in what a prompt demands. They rest on {catalogue["answers"]:,} graded answers, of
{sources},
on published scores and lengths, and on the models' prices, families and sizes. Each belief names its basis.

What everyday prompts demand was learned from {catalogue["expected_prompts"]:,} prompts with *expected* lengths and
difficulties. The makers of llmdeal wrote these expectations down; nobody measured them.

"""


def _pools(manifest: Manifest) -> str:
    pools = manifest.get(POOLS_ENTRY)
    if not pools:
        return ""
    most_keys = max(len(pool["keys"]) for pool in pools)
    shown = [pool for pool in pools if len(pool["keys"]) == most_keys]
    rows = "\n".join(
        f"| {pool['work']} | {pool['prompts']:,}{', few' if pool['is_small'] else ''} | {len(pool['models'])} | "
        f"{pool['gap_closed']:.2f} | {_points(pool['lead'])} | "
        f"{_points(pool['lead_low'])} to {_points(pool['lead_high'])} |"
        for pool in shown
    )
    idle = "\n".join(f"- {pool['work']}" for pool in shown if pool["lead_low"] <= 0)
    sentence = f"With these keys, routing saves nothing on such work:\n\n{idle}\n" if idle else ""
    return f"""## Where routing pays
With keys of {", ".join(shown[0]["keys"])}, on prompts that were kept aside from a fit of the same recipe. *Lead*: mean
score that routing gains over tossing a coin between two lanes at the same mean cost, in hundredths; with its 90%
interval.

| kind of work | prompts | models | gap closed | lead | interval |
|---|--:|--:|--:|--:|---|
{rows}

{sentence}
"""


def _points(score: float) -> str:
    points = round(100 * score, 1)
    return f"{points:+.1f}" if points else "0"


def _learned_from_logs(manifest: Manifest) -> str:
    logs = manifest.get("learned_from_logs")
    if not logs:
        return ""
    steps = "\n".join(
        f"| {step['step']} | {step['rewards']:,} | {step['loss_before']:.4f} | {step['loss_after']:.4f} | "
        f"{step['error']:.4f} | {'yes' if step['is_taken'] else 'no'} |"
        for step in logs["steps"]
        if step["loss_before"] is not None
    )
    days = f"{logs['first_at'][:10]} to {logs['last_at'][:10]}"
    return f"""Since then it learned from {logs["requests"]:,} logged requests, from {days}.
{logs["rewards"]:,} of them were judged, {logs["rewards_with_text"]:,} of these with their text.
Log loss of the rewards of later conversations, before and after each step:

| step | rewards | before | after | standard error of the difference | taken |
|---|---|---|---|---|---|
{steps}

{_accounts_of(logs.get("accounts"))}`verdict.json` says whether it is better than the bundle that it came from.
Later conversations decide that.

"""


def _accounts_of(accounts: Mapping[str, int] | None) -> str:
    if not accounts or not accounts["corrected"]:
        return ""
    return (
        f"It contains corrections for single accounts, {accounts['corrected']:,} of them, "
        f"fitted to {accounts['answers']:,} judged answers. "
        "Account names are hashed, and each correction holds for its account alone.\n"
    )


def _measures_table(measures: Mapping[str, Mapping[str, float]]) -> str:
    if not measures:
        return "Not measured on a corpus.\n"
    rows = "\n".join(
        f"| {source} | {row['models']:.0f} | {row['gap_closed']:.2f} | {_saved(row['save_95'])} | "
        f"{_saved(row['save_98'])} | {_saved(row['save_100'])} | {row['auc']:.2f} | {row['brier']:.3f} | "
        f"{row['ece']:.3f} | {row['cost_bias']:+.1%} |"
        for source, row in measures.items()
    )
    return f"""Cross-validated: networks and calibration that judged a prompt saw neither it nor a near-duplicate.

| pool | models | gap closed | saved at 95% | at 98% | at 100% | AUC | Brier | calibration error | cost bias |
|---|---|---|---|---|---|---|---|---|---|
{rows}

*Gap closed*: share of the way from the best single model at every budget to an oracle that knows every grade.
*Saved at 95%*: cost saved against the best single model while keeping 95% of its score; "never" if that score is not
reached. The point is chosen on these same prompts, so a setting chosen beforehand keeps less than 95% about every
second time. `route.quality_of_best: 0.95` keeps it with 90% confidence and saves less.
"""


def _saved(share: float) -> str:
    return "never" if share == -1 else f"{share:.0%}"


def _ability_rows(manifest: Manifest) -> str:
    ranked = sorted(manifest["abilities"].items(), key=lambda entry: -entry[1])
    return "\n".join(f"| {name} | {manifest['graded_answers'][name]:,} | {ability:+.2f} |" for name, ability in ranked)
