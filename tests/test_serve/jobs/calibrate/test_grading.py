"""Answers are graded as a person would grade them who knows the question and the rule."""

import json
from typing import get_args

import pytest

from serve.jobs.calibrate.answer_rules import RUNS_CODE, Grader
from serve.jobs.calibrate.confinement import why_not_confined
from serve.jobs.calibrate.grading import CHECKS, is_right

CAPITALS = json.dumps(["drei Uhr", "3 Uhr"])
RECORD = json.dumps({"name": "Ada", "age": 34, "is_member": True, "tags": ["a", "b"]})
ROWS = json.dumps({"rows": [["item", "note"], ["pen", "blue, thin"], ["mug", ""]]})
TWICE = json.dumps({"function": "f", "cases": [["(2,)", "[2, 2]"], ["(0,)", "[0, 0]"]]})
HALF = json.dumps({"function": "f", "cases": [["(3,)", "1.5"]]})
IS_EVEN = json.dumps({"function": "f", "cases": [["(2,)", "True"], ["(3,)", "False"]]})
YEAR = json.dumps({"matches": ["1999", "2026"], "misses": ["199", "19999", "x1999", "1999\n"]})
SCHEMA = "CREATE TABLE t (n INTEGER, w TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (2, NULL);"
SORTED = json.dumps({"schema": SCHEMA, "rows": [[2, "b"], [2, None], [1, "a"]], "is_ordered": True})
ANY_ORDER = json.dumps({"schema": SCHEMA, "rows": [[1, 1], [2, 2]], "is_ordered": False})

RIGHT: list[tuple[Grader, str, str]] = [
    ("number", "First 3 pens... so 12.\nAnswer: 12", "12"),
    ("number", "**Answer:** $1,250.00", "1250"),
    ("number", "The final answer is \\boxed{-7}", "-7"),
    ("number", "Answer: 3\nWait, no.\nAnswer: 4", "4"),
    ("number", "Answer: −5", "-5"),
    ("number", "12.50", "12.5"),
    ("choice", "Answer: B", "B"),
    ("choice", "Answer: **(B)** Mars", "B"),
    ("choice", "Answer: \\text{C}", "C"),
    ("text", "Answer: Tuesday.", "Tuesday"),
    ("text", "answer: `yrrebwarts`", "yrrebwarts"),
    ("literal", "Answer: [1,2, 'a']", "[1, 2, 'a']"),
    ("literal", "Answer: `('x', 3)`", "('x', 3)"),
    ("literal", "Answer: abc", "'abc'"),
    ("literal", "Answer: {'b': 2, 'a': 1}", "{'a': 1, 'b': 2}"),
    ("phrase", "Answer: Drei Uhr.", CAPITALS),
    ("phrase", "Answer: **„3 Uhr“**", CAPITALS),
    ("phrase", "Answer: quatre-vingt dix", json.dumps(["quatre-vingt-dix"])),
    ("json", ' {"age": 34.0, "name": "Ada", "tags": ["a", "b"], "is_member": true} ', RECORD),
    ("json", '```json\n{"name": "Ada", "age": 34, "is_member": true, "tags": ["a", "b"]}\n```', RECORD),
    ("csv", 'item,note\npen,"blue, thin"\nmug,\n', ROWS),
    ("csv", '```csv\nitem,note\npen,"blue, thin"\nmug,\n```', ROWS),
    ("form", "We won't go. Stay!", '{"words": 4, "sentences": 2}'),
    ("form", "- a b\n\n- c", '{"bullets": 2, "longest_line_words": 2}'),
    ("form", "1. ant\n2. bee", '{"numbered": 2, "items": ["ant", "bee"]}'),
    ("form", "Moss\nApple\nPine", '{"initials": "map", "lines": 3, "has": ["apple"], "lacks": "x"}'),
    ("form", "loud and clear", '{"case": "lower", "starts": "Loud", "ends": "clear"}'),
    ("python", "```python\ndef f(n):\n    return [n] * 2\n```\nIt repeats.", TWICE),
    ("python", "def f(n):\n    return [n, n]", TWICE),
    ("python", "```\nimport math\ndef f(n): return math.fsum([n]) / 2\n```", HALF),
    ("regex", "Answer: `[12][0-9]{3}`", YEAR),
    ("regex", "It has four digits.\n**Answer:** `\\d{4}`", YEAR),
    ("regex", 'Answer: r"\\d{4}"', YEAR),
    ("sql", "```sql\nSELECT n, w FROM t ORDER BY n DESC, w IS NULL;\n```", SORTED),
    ("sql", "SELECT COUNT(*) AS c, n FROM t GROUP BY n ORDER BY n DESC", ANY_ORDER),
]
WRONG: list[tuple[Grader, str, str]] = [
    ("number", "", "12"),
    ("number", "I cannot say.", "12"),
    ("number", "Answer: twelve", "12"),
    ("number", "Answer: 120", "12"),
    ("choice", "Answer: D", "B"),
    ("choice", "Answer: none of them", "A"),
    ("text", "Answer: Wednesday", "Tuesday"),
    ("literal", "Answer: [1, 2", "[1, 2]"),
    ("literal", "Answer: True", "1"),
    ("literal", "Answer: __import__('os').getcwd()", "'x'"),
    ("literal", "", "''"),
    ("phrase", "Answer: drei Uhr morgens", CAPITALS),
    ("phrase", "Answer: dreiuhr", CAPITALS),
    ("json", '{"name": "Ada", "age": "34", "is_member": true, "tags": ["a", "b"]}', RECORD),  # a text
    ("json", '{"name": "Ada", "age": 34, "is_member": 1, "tags": ["a", "b"]}', RECORD),  # no boolean
    ("json", '{"name": "Ada", "age": 34, "is_member": true, "tags": ["b", "a"]}', RECORD),  # another order
    ("json", '{"name": "Ada", "age": 34, "is_member": true, "tags": ["a", "b"], "x": null}', RECORD),  # one key more
    ("json", '{"name": "Ada", "age": 34, "age": 34, "is_member": true, "tags": ["a", "b"]}', RECORD),  # a key twice
    ("json", 'Here you are:\n{"name": "Ada", "age": 34, "is_member": true, "tags": ["a", "b"]}', RECORD),
    ("json", "{'name': 'Ada', 'age': 34, 'is_member': True, 'tags': ['a', 'b']}", RECORD),  # Python
    ("csv", "item,note\npen,blue, thin\nmug,\n", ROWS),  # not quoted
    ("csv", 'item;note\npen;"blue, thin"\nmug;\n', ROWS),
    ("csv", 'item,note\nmug,\npen,"blue, thin"\n', ROWS),  # another order
    ("csv", 'Sure!\nitem,note\npen,"blue, thin"\nmug,\n', ROWS),
    ("csv", 'item,note\npen,"blue, thin\nmug,\n', ROWS),
    ("form", "We will not go.", '{"words": 3}'),
    ("form", "One. Two", '{"sentences": 2}'),
    ("form", "Just one sentence... right? Yes.", '{"sentences": 1}'),
    ("form", "- a\nb", '{"bullets": 2}'),
    ("form", "Here:\n- a\n- b", '{"bullets": 2}'),
    ("form", "1. a\n3. b", '{"numbered": 2}'),
    ("form", "1. bee\n2. ant", '{"numbered": 2, "items": ["ant", "bee"]}'),
    ("form", "An apple tree", '{"has": ["pine"]}'),
    ("form", "Pineapple", '{"has": ["pine"]}'),
    ("form", "No such letter, Ever", '{"lacks": "e"}'),
    ("form", "...", '{"lacks": "e"}'),
    ("form", "Quiet", '{"case": "lower"}'),
    ("python", "```python\ndef f(n):\n    return (n, n)\n```", TWICE),  # no list
    ("python", "```python\ndef f(n):\n    return [2, 2]\n```", TWICE),  # right in the first case alone
    ("python", "```python\ndef f(n):\n    print([n, n])\n```", TWICE),
    ("python", "```python\ndef g(n):\n    return [n, n]\n```", TWICE),
    ("python", "```python\ndef f(n):\n    return 1 - n % 2\n```", IS_EVEN),  # 1 is not True
    (
        "python",
        "class Any(list):\n    def __eq__(self, other): return True\ndef f(n):\n    return Any()",
        TWICE,
    ),
    ("python", "import sys\ndef f(n):\n    sys.exit(0)", TWICE),
    ("python", "The function doubles.", TWICE),
    ("regex", "Answer: [0-9]+", YEAR),
    ("regex", "Answer: .*", YEAR),
    ("regex", "Answer: [0-9{4}", YEAR),
    ("sql", "SELECT n, w FROM t ORDER BY n", SORTED),
    ("sql", "SELECT COUNT(*), n FROM t WHERE w IS NOT NULL GROUP BY n", ANY_ORDER),
    ("sql", "SELECT 1, 1 UNION ALL SELECT 2, 2 UNION ALL SELECT 2, 2", ANY_ORDER),  # one row too many
    ("sql", "UPDATE t SET n = 0 RETURNING 1, 1", ANY_ORDER),
    ("sql", "Use GROUP BY.", ANY_ORDER),
]


def skip_code_if_unlimited(grader: Grader) -> None:
    if grader in RUNS_CODE and (reason := why_not_confined()):
        pytest.skip(reason)


@pytest.mark.parametrize(("grader", "answer", "right"), RIGHT)
def test_right_answers_are_recognised(grader: Grader, answer: str, right: str) -> None:
    skip_code_if_unlimited(grader)
    assert is_right(answer, right, grader)


@pytest.mark.parametrize(("grader", "answer", "right"), WRONG)
def test_wrong_answers_are_not_taken_for_right(grader: Grader, answer: str, right: str) -> None:
    skip_code_if_unlimited(grader)
    assert not is_right(answer, right, grader)


def test_every_grader_has_a_check_and_is_tried_on_right_and_wrong_answers() -> None:
    names = set(get_args(Grader))
    assert set(CHECKS) == names == {case[0] for case in RIGHT} == {case[0] for case in WRONG}
