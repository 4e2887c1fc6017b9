"""The requests for every subject: different prompts of about 300 tokens, the same ones in every run."""

import json
import random

SMART_ROUTE = "smart-route"
N_BODIES = 64
WORDS_PER_PROMPT = 215
"""Words of a prompt: about 300 tokens of four characters each."""

_KINDS = (
    ("Summarise what follows in three sentences for a reader who was not there.", "note"),
    ("Prove the claim, or find the step that fails.", "proof"),
    ("Find the defect in this Python function and explain it.", "code"),
    ("What is the expected value of the last figure? Show every step.", "proof"),
    ("Write unit tests for the code below.", "code"),
    ("Translate this note into plain words and list the open questions at its end.", "note"),
)
"""Instructions, and the kind of text that follows; the router treats code, mathematics and prose differently."""

_SUBJECTS = (
    "pump valve ledger survey harbour committee molecule theorem orchard turbine reader parliament sensor violin "
    "glacier bridge"
)
_VERBS = (
    "measured replaced doubted recorded compared delayed approved divided forgot doubled inspected described mixed "
    "sold traced"
)
_OBJECTS = (
    "pressure income rainfall proof signal timber enzyme schedule voltage melody budget distance contract sample "
    "archive"
)
_PLACES = "Utrecht Nairobi Valparaíso Oslo Hobart Quebec Kraków Da Nang Leipzig Porto Tampere Osaka Lagos Bergen Cusco"
_LINKS = ("because", "although", "after", "unless", "while", "and so", "but")


def prompt(number: int, words: int) -> str:
    """Return one prompt of about `words` words; each number gives its own text, always the same."""
    rng = random.Random(number)  # noqa: S311 - reproducible text, not a secret
    text, kind = _KINDS[number % len(_KINDS)]
    sentence_of = _SENTENCES[kind]
    while (n_words := text.count(" ") + 1) < words:
        sentence = sentence_of(rng)
        text += " " + " ".join(sentence.split(" ")[: words - n_words])
    return text


def request_bodies(*, is_streaming: bool) -> list[bytes]:
    """Return the JSON bodies of all requests; they differ in prompt only."""
    return [_body(prompt(number, WORDS_PER_PROMPT), is_streaming) for number in range(N_BODIES)]


def messages_bodies() -> list[bytes]:
    """Return the same requests for streams in Anthropic's dialect."""
    return [_messages_body(prompt(number, WORDS_PER_PROMPT)) for number in range(N_BODIES)]


def _messages_body(text: str) -> bytes:
    messages = [{"role": "user", "content": text}]
    body = {
        "model": SMART_ROUTE,
        "system": "You are a careful assistant.",
        "messages": messages,
        "max_tokens": 400,
        "stream": True,
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _body(text: str, is_streaming: bool) -> bytes:
    messages = [{"role": "system", "content": "You are a careful assistant."}, {"role": "user", "content": text}]
    body = {"model": SMART_ROUTE, "messages": messages, "temperature": 0.2, "max_tokens": 400}
    if is_streaming:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _note(rng: random.Random) -> str:
    def clause() -> str:
        subject, verb, thing = (rng.choice(words.split()) for words in (_SUBJECTS, _VERBS, _OBJECTS))
        return f"the {subject} {verb} the {thing} {rng.randint(2, 9_999)} times"

    return (
        f"In {rng.choice(_PLACES.split())}, {clause()} {rng.choice(_LINKS)} {clause()}, "
        f"about {rng.random() * 100:.2f}% more."
    )


def _proof(rng: random.Random) -> str:
    left, right, n = rng.choice("abcxyz"), rng.choice("kmnpqt"), rng.randint(2, 97)
    return rng.choice(
        (
            f"Let {left} be an integer with {left}^{n % 7 + 2} = {n} (mod {n + 4}).",
            f"Then \\sum_{{{right}=1}}^{{{n}}} {left}_{right} / ({right} + {n}) converges, "
            f"since {left} < {right} * {n}.",
            f"Suppose that f({left}) = {n}{left}^2 - {n // 2}{left} + {n % 5} has {n % 4} roots in [0, {n}].",
            f"By induction on {right}, the probability P({left} | {right}) is at most {n} / {n * 3 + 1}.",
        )
    )


def _code(rng: random.Random) -> str:
    name, thing, n = rng.choice(_SUBJECTS.split()), rng.choice(_OBJECTS.split()), rng.randint(1, 999)
    return rng.choice(
        (
            f"\ndef {thing}_of({name}, limit={n}):\n"
            f"    return [{name}[i] for i in range(limit) if {name}[i] % {n % 9 + 2} == 0]\n",
            f"\nfor index, {thing} in enumerate({name}s):\n    if {thing} is None or index > {n}:\n        continue\n",
            f"\nassert {name}({n}) == {n * 2}, '{thing}'\n",
            f"\n{thing} = {{'{name}': {n}, 'total': sum(x ** 2 for x in {name}s[:{n % 50}])}}\n",
        )
    )


_SENTENCES = {"note": _note, "proof": _proof, "code": _code}
