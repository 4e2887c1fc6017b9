"""The everyday suite: 200 prompts of 20 kinds of work in `data/everyday`, with their level and the length of an answer.

The suite judges routers. It is never trained on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final, Self

from pydantic import Field, model_validator

from serve.catalogue.yaml_file import CatalogueRow, read_rows
from serve.errors import ConfigurationError

EASY_UP_TO: Final = 3
"""Highest level of an easy prompt."""
HARD_FROM: Final = 8
"""Lowest level of a hard prompt."""


class PromptRow(CatalogueRow):
    """One prompt as the file has it: a single `prompt`, or a conversation in `messages`."""

    id: str = Field(min_length=1, description="Unique id: the kind and a number.")
    level: int = Field(ge=1, le=10, description="1: any small model does it; 10: the strongest models often fail.")
    visible_tokens: tuple[int, int] = Field(description="Least and most tokens of a sensible visible answer.")
    judged_by: str = Field(min_length=1, description="What the caller would judge in the answer.")
    prompt: str = Field("", description="Text of the only user message; empty: messages holds the conversation.")
    system: str = Field("", description="Text of the system message; empty: there is none.")
    messages: list[dict[str, Any]] = Field([], description="Conversation, as in OpenAI's chat completions.")
    fields: dict[str, Any] = Field({}, description="Further fields of the request: tools, response_format.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        least, most = self.visible_tokens
        if not 0 < least < most:
            raise ValueError(f"visible_tokens of {self.id!r} is {least} to {most}. The first must be the smaller one.")
        if bool(self.prompt.strip()) == bool(self.messages):
            raise ValueError(f"{self.id!r} needs either a prompt or messages. Give exactly one of them.")
        return self


class KindFile(CatalogueRow):
    """One file of the suite: the prompts of one kind of work."""

    kind: str
    name: str
    prompts: list[PromptRow]


@dataclass(frozen=True, slots=True)
class EverydayPrompt:
    """One prompt of the suite.

    Args:
        id: Unique id.
        kind: Kind of work: the name of its file.
        kind_name: Kind of work in words.
        level: Difficulty, 1..10.
        least_tokens, most_tokens: Range of the length of a sensible visible answer, tokens; reasoning does not count.
        judged_by: Measure by which the caller would judge the answer.
        body: Request to `/v1/chat/completions`.
    """

    id: str
    kind: str
    kind_name: str
    level: int
    least_tokens: int
    most_tokens: int
    judged_by: str
    body: dict[str, Any]

    @property
    def is_easy(self) -> bool:
        """Whether any model should do it well."""
        return self.level <= EASY_UP_TO

    @property
    def is_hard(self) -> bool:
        """Whether only strong models have a good chance."""
        return self.level >= HARD_FROM


def read_suite(folder: Path) -> tuple[EverydayPrompt, ...]:
    """Return the prompts of all files of a folder, in the order of the files' names.

    Raises:
        ConfigurationError: The folder has no files, a file is malformed, or two prompts share an id.
    """
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise ConfigurationError(f"{folder} has no .yaml files. Name the folder of the suite, data/everyday.")
    prompts = tuple(prompt for file in files for prompt in _prompts_of(file))
    ids = [prompt.id for prompt in prompts]
    if len(set(ids)) != len(ids):
        twice = next(prompt_id for prompt_id in ids if ids.count(prompt_id) > 1)
        raise ConfigurationError(f"{folder}: two prompts have the id {twice!r}. Give each prompt its own id.")
    return prompts


def easy_hard_pairs(prompts: Sequence[EverydayPrompt]) -> list[tuple[EverydayPrompt, EverydayPrompt]]:
    """Return every pair of an easy prompt and a hard one of the same kind."""
    easy = [prompt for prompt in prompts if prompt.is_easy]
    hard = [prompt for prompt in prompts if prompt.is_hard]
    return [(first, second) for first, second in product(easy, hard) if first.kind == second.kind]


def _prompts_of(file: Path) -> Iterator[EverydayPrompt]:
    content = read_rows(file, KindFile)
    for row in content.prompts:
        least, most = row.visible_tokens
        yield EverydayPrompt(
            row.id, content.kind, content.name, row.level, least, most, row.judged_by, {**_body(row), **row.fields}
        )


def _body(row: PromptRow) -> dict[str, Any]:
    messages = list(row.messages) or [{"role": "user", "content": row.prompt}]
    if row.system:
        messages.insert(0, {"role": "system", "content": row.system})
    return {"model": "smart-route", "messages": messages}
