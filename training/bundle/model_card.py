"""The model card of a bundle: on what it was trained, how good it is, and what it does not know. Written for people."""

from collections.abc import Mapping
from typing import Any

from training.bundle.parity import QUALITY_TOLERANCE, TOKENS_TOLERANCE, ParityReport

Manifest = Mapping[str, Any]  # parsed JSON of our own making


def render_model_card(manifest: Manifest, parity: ParityReport) -> str:
    """Return the card as Markdown."""
    corpus = manifest["corpus"]
    sources = ", ".join(f"{name} ({count:,} prompts)" for name, count in corpus["sources"].items())
    base = f" It was fitted from {manifest['base']} as its prior." if manifest["base"] else ""
    return f"""# {manifest["name"]}

Predicts, from the text of a request alone, how likely each of {len(manifest["trained_names"])} language models is to answer it well and how
long the answer will be. llmdeal weighs that against price and chooses.

## What it is
A static embedding table ({manifest["settings"]["n_dimensions"]} numbers a token, 8 bits each) distilled from {manifest["teacher"]}, {manifest["settings"]["n_members"]} small
networks that share it with counts of structural marks, and a calibration, as one ONNX graph. Feature version {manifest["features_version"]}, seed {manifest["seed"]}.{base}

## What it was trained on
{corpus["prompts"]:,} prompts and {corpus["answers"]:,} graded answers: {sources}. Grades come from matching reference answers automatically.
The manifest holds the hashes of the files and the number of graded answers of every model.

## How good it is
{_learned_from_logs(manifest)}{_measures_table(manifest["measures"])}
## What it does not know
- **Models that are not listed below.** They get a prior from `data/models.yaml`, or from their price and family, and the difficulty of the prompt, with a
  wider uncertainty; the explanation of each request says so. `llmdeal calibrate` replaces the prior by graded answers.
- **Other kinds of requests.** The prompts are exam questions, mathematics, code, trivia and reasoning, in English. Conversations,
  long documents, tool use, images, other languages and matters of taste were not graded; there its probabilities are extrapolations.
- **What its graders missed.** Grades come from matching answers with references. Where a source's matcher is strict, as with trivia,
  good answers were counted as bad, and the probabilities for such prompts are too low for every model; their order suffers less.
- **Change.** It was fitted to answers of fixed model versions. Providers alter what stands behind a name.
- **The middle of long texts.** It reads the first 600 and the last 1,400 characters.
- **Its own ignorance, fully.** The stated uncertainty is the disagreement of its networks and the number of grades; it does not grow as
  fast as it should for prompts unlike any it has seen.

## Exactness
The graph was compared with the fitted networks on all {parity.n_prompts:,} prompts: within {QUALITY_TOLERANCE:g} in probability and {TOKENS_TOLERANCE:.1%} in tokens.
The same corpus and seed give the same bytes on the same machine and library versions; elsewhere sums may run in another order, and the
last digits of the weights differ.

## Models
Ability: log odds of a good answer to the average prompt of the corpus.

| model | graded answers | ability |
|---|---|---|
{_ability_rows(manifest)}
"""


def _learned_from_logs(manifest: Manifest) -> str:
    logs = manifest.get("learned_from_logs")
    if not logs:
        return ""
    steps = "\n".join(
        f"| {step['step']} | {step['rewards']:,} | {step['loss_before']:.4f} | {step['loss_after']:.4f} | {step['error']:.4f} | "
        f"{'yes' if step['is_taken'] else 'no'} |"
        for step in logs["steps"]
        if step["loss_before"] is not None
    )
    return f"""Since then it learned from {logs["rewards"]:,} judged requests of {logs["requests"]:,} logged ones, {logs["rewards_with_text"]:,} of them with their text,
from {logs["first_at"][:10]} to {logs["last_at"][:10]}. Log loss of the rewards of later conversations, before and after each step:

| step | rewards | before | after | standard error of the difference | taken |
|---|---|---|---|---|---|
{steps}

{_accounts_of(logs.get("accounts"))}Whether it is better than the bundle that it came from is what `verdict.json` says, by conversations that are later still.

"""


def _accounts_of(accounts: Mapping[str, int] | None) -> str:
    if not accounts or not accounts["corrected"]:
        return ""
    return (
        f"With it go corrections for single accounts, {accounts['corrected']:,} of them, fitted to {accounts['answers']:,} judged answers. "
        "Names are hashed, and each holds for its account alone.\n"
    )


def _measures_table(measures: Mapping[str, Mapping[str, float]]) -> str:
    if not measures:
        return "Not measured on a corpus.\n"
    rows = "\n".join(
        f"| {source} | {row['models']:.0f} | {row['gap_closed']:.2f} | {_saved(row['save_95'])} | {_saved(row['save_98'])} | "
        f"{_saved(row['save_100'])} | {row['auc']:.2f} | {row['brier']:.3f} | {row['ece']:.3f} | {row['cost_bias']:+.1%} |"
        for source, row in measures.items()
    )
    return f"""Cross-validated: every prompt was judged by networks and a calibration that saw neither it nor a near-duplicate of it.

| pool | models | gap closed | saved at 95% | at 98% | at 100% | AUC | Brier | calibration error | cost bias |
|---|---|---|---|---|---|---|---|---|---|
{rows}

*Gap closed*: share of the way from the best single model at every budget to an oracle that knows every grade. *Saved at 95%*: cost
saved against the best single model while keeping 95% of its score; "never" where that score is not reached.
"""


def _saved(share: float) -> str:
    return "never" if share == -1 else f"{share:.0%}"


def _ability_rows(manifest: Manifest) -> str:
    ranked = sorted(manifest["abilities"].items(), key=lambda entry: -entry[1])
    return "\n".join(f"| {name} | {manifest['graded_answers'][name]:,} | {ability:+.2f} |" for name, ability in ranked)
