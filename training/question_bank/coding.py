"""Questions that ask for a Python function. The right results come from running the solution that stands here."""

import random
from collections.abc import Callable

from training.question_bank.drafts import Draft, Make, whole

_WORDS = (
    "lantern",
    "harbour",
    "velvet",
    "quartz",
    "meadow",
    "signal",
    "orchid",
    "tunnel",
    "level",
    "noon",
    "ember",
    "sees",
)
Arguments = Callable[[random.Random], tuple[object, ...]]

_TASKS: tuple[tuple[str, str, Arguments, tuple[tuple[object, ...], ...]], ...] = (
    (
        "`f(numbers)` returns the sum of the even numbers in a list of integers.",
        "def f(numbers):\n    return sum(n for n in numbers if n % 2 == 0)",
        lambda r: ([r.randint(-20, 40) for _ in range(r.randint(1, 8))],),
        (([],), ([-2, -3],)),
    ),
    (
        "`f(text)` returns how many vowels (a, e, i, o, u, of any case) a text has.",
        "def f(text):\n    return sum(c in 'aeiou' for c in text.lower())",
        lambda r: (r.choice(_WORDS).title(),),
        (("",), ("AEIOU xyz",)),
    ),
    (
        "`f(words)` returns the words of a list by length, the shortest first; words of one length in alphabetical "
        "order.",
        "def f(words):\n    return sorted(words, key=lambda word: (len(word), word))",
        lambda r: (r.sample(_WORDS, 5),),
        (([],), (["b", "a", "cc", "B"],)),
    ),
    (
        "`f(text)` returns whether a text reads the same backwards, if only letters and digits count and case does "
        "not.",
        "def f(text):\n    kept = [c.lower() for c in text if c.isalnum()]\n    return kept == kept[::-1]",
        lambda r: (r.choice(_WORDS),),
        (("A man, a plan, a canal: Panama",), ("",), ("1a2",)),
    ),
    (
        "`f(numbers)` returns the second largest of the different numbers in a list, or None if there are fewer than "
        "two.",
        "def f(numbers):\n    kept = sorted(set(numbers))\n    return kept[-2] if len(kept) > 1 else None",
        lambda r: ([r.randint(-9, 9) for _ in range(6)],),
        (([],), ([3, 3, 3],), ([5, 5, 4],)),
    ),
    (
        "`f(n)` returns the prime factors of an integer n > 1 in a list, the smallest first, each as often as it "
        "divides n.",
        "def f(n):\n    out, p = [], 2\n    while n > 1:\n        while n % p == 0:\n            out.append(p)\n"
        "            n //= p\n        p += 1\n    return out",
        lambda r: (r.randint(2, 3_000),),
        ((2,), (64,), (97,), (9_409,)),
    ),
    (
        "`f(text)` returns a dictionary: word -> number of times. Words are parted by white space, small and capital "
        "letters are the same, "
        "and . , ! ? at the ends of words do not count.",
        "def f(text):\n    out = {}\n    for word in text.lower().split():\n        word = word.strip('.,!?')\n"
        "        if word:\n            out[word] = out.get(word, 0) + 1\n    return out",
        lambda r: (" ".join(r.choices(_WORDS, k=6)).title() + "!",),
        (("",), ("So, so? SO... no",), (" ! ",)),
    ),
    (
        "`f(matrix)` returns a matrix (a list of equally long lists) turned by 90 degrees clockwise.",
        "def f(matrix):\n    return [list(row) for row in zip(*matrix[::-1])]",
        lambda r: ([[r.randint(0, 9) for _ in range(3)] for _ in range(r.randint(1, 4))],),
        (([[1]],), ([[1, 2], [3, 4]],)),
    ),
    (
        "`f(numeral)` returns the integer of a Roman numeral in capital letters, up to 3999.",
        "def f(numeral):\n    v = dict(I=1, V=5, X=10, L=50, C=100, D=500, M=1000)\n    n = [v[c] for c in numeral]\n"
        "    return sum(-a if a < b else a for a, b in zip(n, n[1:] + [0]))",
        lambda r: (r.choice(("XIV", "MCMXCIV", "CDXLIV", "MMXXVI", "LXXXIX")),),
        (("I",), ("IX",), ("MMMCMXCIX",)),
    ),
    (
        "`f(spans)` joins spans of integers that overlap or touch. `spans` is a list of (start, end) with start <= "
        "end, both included; "
        "spans also touch if one starts at the integer after the other's end. The result is a list of tuples, sorted.",
        "def f(spans):\n    out = []\n    for a, b in sorted(spans):\n        if out and a <= out[-1][1] + 1:\n"
        "            out[-1] = (out[-1][0], max(b, out[-1][1]))\n        else:\n            out.append((a, b))\n"
        "    return out",
        lambda r: ([(a, a + r.randint(0, 5)) for a in r.sample(range(30), 5)],),
        (([],), ([(1, 2), (3, 4)],), ([(1, 10), (2, 3)],), ([(1, 2), (4, 5)],)),
    ),
    (
        "`f(text)` returns whether the brackets ()[]{} in a text are closed in the right order. Other characters do "
        "not count.",
        "def f(text):\n    stack = []\n    for c in text:\n        if c in '([{':\n            stack.append(c)\n"
        "        elif c in ')]}':\n"
        "            if not stack or '([{'.index(stack.pop()) != ')]}'.index(c):\n                return False\n"
        "    return not stack",
        lambda r: ("".join(r.choices("()[]{}", k=r.randint(2, 6))),),
        (("",), ("(a[b]{c})",), ("([)]",), ("(",), (")(",)),
    ),
    (
        "`f(seconds)` returns a length of time in words, as in '1 hour, 1 minute and 5 seconds': parts that are 0 are "
        "left out, each part "
        "has the right plural, parts are hours, minutes and seconds, and 0 gives '0 seconds'.",
        "def f(seconds):\n    parts = []\n    for name, size in (('hour', 3600), ('minute', 60), ('second', 1)):\n"
        "        n, seconds = divmod(seconds, size)\n"
        "        if n:\n            parts.append(f\"{n} {name}{'s' if n > 1 else ''}\")\n    if not parts:\n"
        "        return '0 seconds'\n"
        "    return parts[0] if len(parts) == 1 else ', '.join(parts[:-1]) + ' and ' + parts[-1]",
        lambda r: (r.randint(1, 20_000),),
        ((0,), (1,), (3_600,), (3_661,), (7_205,)),
    ),
    (
        "`f(expression)` returns the value of a text with non-negative integers, + - * and brackets, by the usual "
        "rules; there may be blanks. "
        "Do not use eval.",
        "import ast\ndef f(expression):\n    def value(node):\n        if isinstance(node, ast.Constant):\n"
        "            return node.value\n"
        "        a, b = value(node.left), value(node.right)\n        return {'Add': a + b, 'Sub': a - b, 'Mult': a * "
        "b}[type(node.op).__name__]\n"
        "    return value(ast.parse(expression.strip(), mode='eval').body)",
        lambda r: (f"{r.randint(1, 9)} - {r.randint(1, 9)}*({r.randint(1, 9)}+{r.randint(1, 9)}) - {r.randint(1, 9)}",),
        (("7",), ("2*(3-5)*4",), ("10-4-3",), (" ( 1 ) ",)),
    ),
    (
        "`f(coins, amount)` returns the smallest number of coins that make exactly an amount, or -1 if none do. "
        "`coins` is a list of positive "
        "integers; each coin may be used any number of times. An amount of 0 takes 0 coins.",
        "def f(coins, amount):\n    best = [0] + [None] * amount\n    for total in range(1, amount + 1):\n"
        "        options = [best[total - c] for c in coins if c <= total and best[total - c] is not None]\n"
        "        best[total] = min(options) + 1 if options else None\n"
        "    return -1 if best[amount] is None else best[amount]",
        lambda r: (r.sample(range(2, 30), 3), r.randint(20, 120)),
        (([5], 3), ([1, 3, 4], 6), ([2], 0)),
    ),
    (
        "`f(a, b)` returns the smallest number of single-letter insertions, deletions and replacements, and swaps of "
        "two neighbouring letters, that "
        "turn text a into text b. A letter that was swapped is not edited again (optimal string alignment).",
        "def f(a, b):\n    d = {}\n    for i in range(-1, len(a)):\n        d[i, -1] = i + 1\n"
        "    for j in range(-1, len(b)):\n        d[-1, j] = j + 1\n"
        "    for i in range(len(a)):\n        for j in range(len(b)):\n            d[i, j] = min(d[i - 1, j] + 1, d[i, "
        "j - 1] + 1, d[i - 1, j - 1] + (a[i] != b[j]))\n"
        "            if i and j and a[i] == b[j - 1] and a[i - 1] == b[j]:\n"
        "                d[i, j] = min(d[i, j], d[i - 2, j - 2] + 1)\n    return d[len(a) - 1, len(b) - 1]",
        lambda r: (r.choice(_WORDS), r.choice(_WORDS)),
        (("", "ab"), ("ab", "ba"), ("abc", "acb"), ("ca", "abc")),
    ),
    (
        "`f(tasks)` returns the tasks in an order in which every task comes after all that it needs; of the tasks that "
        "could come next, the "
        "alphabetically first one is taken. `tasks` is a dictionary: task -> list of tasks that it needs (each is a "
        "key too). If there is no order, it returns [].",
        "def f(tasks):\n    out = []\n    while len(out) < len(tasks):\n        free = sorted(t for t in tasks if t "
        "not in out and all(n in out for n in tasks[t]))\n"
        "        if not free:\n            return []\n        out.append(free[0])\n    return out",
        lambda r: ({t: [n for n in "abcde" if n < t and r.random() < 0.5] for t in r.sample("abcde", 5)},),
        (({},), ({"a": ["b"], "b": ["a"]},), ({"a": ["c"], "b": [], "c": ["b"]},)),
    ),
    (
        "`f(grid)` returns the length of the shortest way (number of steps up, down, left or right) from the upper "
        "left to the lower right cell of a grid, "
        "or -1 if there is none. The grid is a list of equally long texts; '#' is a wall, '.' is free. The first cell "
        "may be a wall; then there is no way.",
        "from collections import deque\ndef f(grid):\n    h, w = len(grid), len(grid[0])\n    if grid[0][0] == '#':\n"
        "        return -1\n    seen, line = {(0, 0)}, deque([(0, 0, 0)])\n"
        "    while line:\n        y, x, n = line.popleft()\n        if (y, x) == (h - 1, w - 1):\n"
        "            return n\n        for p in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):\n"
        "            if 0 <= p[0] < h and 0 <= p[1] < w and grid[p[0]][p[1]] == '.' and p not in seen:\n"
        "                seen.add(p)\n                line.append((*p, n + 1))\n    return -1",
        lambda r: (["".join("#" if r.random() < 0.25 else "." for _ in range(5)) for _ in range(5)],),
        ((["."],), (["#"],), ([".#", "#."],), (["...", "##.", "..."],)),
    ),
    (
        "`f(text, width)` sets a text in lines of exactly `width` characters and returns the list of lines. Words are "
        "parted by one blank; each line takes as many "
        "words as fit. Blanks between words are spread as evenly as possible, the gaps on the left get the extra ones. "
        "The last line, and a line with one word, "
        "is filled up with blanks at its end. No word is longer than `width`; the text has at least one word.",
        "def f(text, width):\n    lines, line = [], []\n    for word in text.split():\n"
        "        if sum(map(len, line)) + len(line) + len(word) > width:\n            lines.append(line)\n"
        "            line = []\n"
        "        line.append(word)\n    out = []\n    for words in lines:\n        gaps, blanks = len(words) - 1, "
        "width - sum(map(len, words))\n        if not gaps:\n            out.append(words[0].ljust(width))\n"
        "            continue\n"
        "        out.append(''.join(w + ' ' * (blanks // gaps + (i < blanks % gaps) if i < gaps else 0) for i, w in "
        "enumerate(words)))\n    return out + [' '.join(line).ljust(width)]",
        lambda r: (" ".join(r.choices(_WORDS, k=7)), r.randint(9, 20)),
        (("a", 3), ("a b c d", 3), ("abc de f", 6)),
    ),
    (
        "`f(numbers, k)` returns the largest sum of at most k numbers of a list of integers, no two of which are "
        "neighbours in the list; 0 numbers have the sum 0.",
        "def f(numbers, k):\n    from functools import lru_cache\n    @lru_cache(None)\n    def best(i, k):\n"
        "        if i >= len(numbers) or k == 0:\n            return 0\n        return max(best(i + 1, k), numbers[i] "
        "+ best(i + 2, k - 1))\n    return best(0, k)",
        lambda r: ([r.randint(-9, 20) for _ in range(8)], r.randint(1, 4)),
        (([], 2), ([-1, -2], 1), ([5, 6, 5], 2), ([3, 9, 4], 0)),
    ),
    (
        "`f(moves)` plays a stack machine and returns its stack, the top last. `moves` is a list of texts: an integer "
        "is pushed; 'add', 'sub' and 'mul' replace the two top "
        "numbers a, b (b on top) by a + b, a - b, a * b; 'dup' doubles the top; 'swap' exchanges the two top ones; 'jz "
        "N' takes the top and, if it is 0, jumps over the next N "
        "moves; 'halt' ends. If a move needs more numbers than there are, the machine ends, and the stack stays as it "
        "was before that move.",
        "def f(moves):\n    s, i = [], 0\n    while i < len(moves):\n        name, *rest = moves[i].split()\n"
        "        need = {'add': 2, 'sub': 2, 'mul': 2, 'swap': 2, 'dup': 1, 'jz': 1}.get(name, 0)\n"
        "        if name == 'halt' or len(s) < need:\n            return s\n        if name in ('add', 'sub', 'mul'):\n"
        "            b, a = s.pop(), s.pop()\n            s.append({'add': a + b, 'sub': a - b, 'mul': a * b}[name])\n"
        "        elif name == 'dup':\n            s.append(s[-1])\n        elif name == 'swap':\n"
        "            s[-1], s[-2] = s[-2], s[-1]\n        elif name == 'jz':\n"
        "            i += int(rest[0]) if s.pop() == 0 else 0\n"
        "        else:\n            s.append(int(name))\n        i += 1\n    return s",
        lambda r: ([r.choice(("3", "5", "-2", "0", "dup", "add", "sub", "mul", "swap", "jz 1")) for _ in range(9)],),
        (
            ([],),
            (["add"],),
            (["2", "0", "jz 1", "7", "8"],),
            (["1", "2", "sub", "halt", "9"],),
            (["4", "swap", "5"],),
            (["3", "jz 5"],),
        ),
    ),
)


def functions(random: random.Random, level: int) -> Draft:
    """Ask for a function; some of the cases that it is tried on are at the edge of what the text says."""
    text, source, make_arguments, edges = _TASKS[2 * level + random.randrange(2)]
    namespace: dict[str, Callable[..., object]] = {}
    exec(source, namespace)  # noqa: S102 - only the programs above
    calls = [*edges, *(make_arguments(random) for _ in range(6))]
    cases = [(repr(arguments), repr(namespace["f"](*arguments))) for arguments in calls]
    return whole(
        "python",
        f"Write a Python function. {text}\n\nUse no modules but those of the standard library for text, numbers, dates "
        "and "
        "collections. Reply with the function in one ```python code block, without calls of it.",
        {"function": "f", "cases": cases},
        f"```python\n{source}\n```",
    )


CODING: tuple[Make, ...] = (functions,)
