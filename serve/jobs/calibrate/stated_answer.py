"""Finds the result in an answer: after the last "Answer:", in a box, in a code block, or in the last line."""

import re

_MARKED = re.compile(r"(?:final\s+)?answer\s*(?:\*\*)?\s*[:=]\s*(?:\*\*)?\s*(.+)", re.IGNORECASE)
_BOXED = re.compile(r"\\boxed\{([^{}]+)\}")
_FENCED = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)^[ \t]*```[ \t]*$", re.MULTILINE | re.DOTALL)
_ONLY_FENCED = re.compile(r"\s*```[^\n`]*\n(.*?)```\s*", re.DOTALL)


def stated(answer: str) -> str:
    """Return the result in an answer: the text after the last mark, or in the last box, or else the last line."""
    marked = _MARKED.findall(answer)
    if marked:
        return str(marked[-1]).strip()
    boxed = _BOXED.findall(answer)
    if boxed:
        return str(boxed[-1]).strip()
    lines = [line.strip() for line in answer.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def last_code(answer: str) -> str:
    """Return the last code block of an answer; without one, the whole answer."""
    blocks = _FENCED.findall(answer)
    return str(blocks[-1]) if blocks else answer


def without_fence(answer: str) -> str:
    """Return an answer without the fence around all of it. An answer with more than one code block stays as it is."""
    fenced = _ONLY_FENCED.fullmatch(answer)
    return fenced[1] if fenced and "```" not in fenced[1] else answer
