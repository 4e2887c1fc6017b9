"""Questions that take reasoning: arithmetic, combinatorics, geometry, calendars, letters, order, logic, programs."""

import math
import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import combinations, permutations

from training.question_bank.drafts import Grader

_NAMES = ("Ada", "Ben", "Chloe", "Dan", "Eve", "Farid", "Grace", "Hugo", "Ines", "Jun")


Computed = tuple[Grader, str, object]
"""Grader, question and answer."""


def shopping(random: random.Random, level: int) -> Computed:
    """Ask about prices, amounts and change; each level has one more item."""
    items = random.sample(("pens", "mugs", "lamps", "books", "plants", "kites", "scarves", "bowls"), 2 + level % 4)
    bought = [(random.randint(2, 9), random.randint(3, 40), item) for item in items]
    paid = math.ceil((sum(count * price for count, price, _ in bought) + 10) / 50) * 50
    discount = random.choice((10, 20, 25, 50)) if level > 3 else 0
    listed = ", ".join(f"{count} {item} at {price} dollars each" for count, price, item in bought)
    total = sum(count * price for count, price, _ in bought) * (100 - discount) / 100
    rebate = f" At the till {discount}% is taken off the whole bill." if discount else ""
    return (
        "number",
        f"{random.choice(_NAMES)} buys {listed}.{rebate} How many dollars of change are there from {paid}?",
        round(paid - total, 2),
    )


def journey(random: random.Random, level: int) -> Computed:
    """Ask about speeds and times; higher levels have a break and a second leg."""
    speed, hours = random.randint(8, 30) * 4, random.randint(2, 6)
    if level < 3:
        return "number", f"A train runs at {speed} km/h for {hours} hours. How many kilometres is that?", speed * hours
    slower, minutes = speed // 2, random.choice((15, 30, 45))
    distance = speed * hours + slower * minutes // 30
    return (
        "number",
        f"A bus runs {hours} hours at {speed} km/h, stands still for {minutes} minutes, and runs another "
        f"{2 * minutes} minutes at {slower} km/h. How many kilometres did it run in all?",
        distance,
    )


def divisibility(random: random.Random, level: int) -> Computed:
    """Ask about number theory; the answer is computed by trying all numbers."""
    high = 60 * (level + 1)
    first, second = random.sample((3, 4, 5, 6, 7, 8, 9, 11), 2)
    if level % 3 == 0:
        count = sum(number % first == 0 and number % second != 0 for number in range(1, high + 1))
        return "number", f"How many integers from 1 to {high} are divisible by {first} but not by {second}?", count
    if level % 3 == 1:
        base, exponent, modulus = random.randint(2, 12), random.randint(10, 60), random.randint(7, 50)
        return (
            "number",
            f"What is the remainder when {base}^{exponent} is divided by {modulus}?",
            pow(base, exponent, modulus),
        )
    number = math.prod(prime ** random.randint(0, 3) for prime in (2, 3, 5, 7))
    return (
        "number",
        f"How many positive divisors does {number} have?",
        sum(number % d == 0 for d in range(1, number + 1)),
    )


def counting(random: random.Random, level: int) -> Computed:
    """Ask about combinatorics; the answer is counted one by one."""
    n, k = 5 + level % 4, 2 + level % 3
    if level % 2:
        total = random.randint(n, 2 * n)
        count = sum(sum(chosen) == total for chosen in combinations(range(1, n + 3), k))
        return (
            "number",
            f"In how many ways can {k} different numbers be chosen from 1 to {n + 2} so that their sum is {total}?",
            count,
        )
    first, second = random.sample(range(n), 2)
    count = sum(abs(order.index(first) - order.index(second)) != 1 for order in permutations(range(n)))
    return (
        "number",
        f"{n} people stand in a row. Two of them refuse to stand side by side. How many orders are possible?",
        count,
    )


def algebra(random: random.Random, level: int) -> Computed:
    """Ask for the solutions of equations that are built from them."""
    if level < 4:
        solution, slope, shift = random.randint(-12, 20), random.randint(2, 9), random.randint(-30, 30)
        return (
            "number",
            f"Solve for x: {slope}x {'+' if shift >= 0 else '-'} {abs(shift)} = {slope * solution + shift}",
            solution,
        )
    low, high = sorted(random.sample(range(-9, 15), 2))
    middle, last = -(low + high), low * high
    signs = f"x^2 {'+' if middle >= 0 else '-'} {abs(middle)}x {'+' if last >= 0 else '-'} {abs(last)} = 0"
    power = 2 + level % 3
    return (
        "number",
        f"Let r and s be the two solutions of {signs}. What is r^{power} + s^{power}?",
        low**power + high**power,
    )


def geometry(random: random.Random, level: int) -> Computed:
    """Ask for areas and lengths; the answers are whole numbers."""
    if level < 3:
        wide, high = random.randint(4, 40), random.randint(4, 40)
        return (
            "number",
            f"A rectangle has a perimeter of {2 * (wide + high)} and one side of {wide}. What is its area?",
            wide * high,
        )
    legs = random.choice(((3, 4, 5), (5, 12, 13), (8, 15, 17), (7, 24, 25), (20, 21, 29)))
    factor = random.randint(2, 9)
    a, b, c = (factor * side for side in legs)
    if level % 2:
        return (
            "number",
            f"A right triangle has a hypotenuse of {c} and one leg of {a}. What is its perimeter?",
            a + b + c,
        )
    return (
        "number",
        f"The diagonals of a rhombus are {2 * a} and {2 * b} long. How long is the perimeter of the rhombus?",
        4 * c,
    )


def calendar(random: random.Random, level: int) -> Computed:
    """Ask about dates, across months and leap years."""
    start = date(random.randint(1999, 2031), random.randint(1, 12), random.randint(1, 28))
    days = random.randint(3, 40) * (level + 1)
    if level % 2:
        return (
            "text",
            f"{start:%d %B %Y} was a {start:%A}. Which day of the week is {days} days later?",
            f"{start + timedelta(days):%A}",
        )
    end = start + timedelta(days)
    return "number", f"How many days are there from {start:%d %B %Y} to {end:%d %B %Y}, not counting the first?", days


def letters(random: random.Random, level: int) -> Computed:
    """Ask about the letters of words."""
    words = random.sample(
        ("strawberry", "mississippi", "committee", "bookkeeper", "parallelogram", "onomatopoeia", "assassination"), 2
    )
    if level % 3 == 0:
        letter = random.choice(words[0])
        return "number", f"How many times does the letter {letter!r} occur in {words[0]!r}?", words[0].count(letter)
    if level % 3 == 1:
        return "text", f"Write {words[0]!r} backwards.", words[0][::-1]
    joined = words[0] + words[1]
    place = random.randint(5, len(joined) - 2)
    return (
        "text",
        f"Write {words[0]!r} and {words[1]!r} as one word without a blank. What is its letter number {place}?",
        joined[place - 1],
    )


def ordering(random: random.Random, level: int) -> Computed:
    """Ask about a row of people; the hints allow exactly one order."""
    people = random.sample(_NAMES, 3 + level % 3)
    true = random.sample(people, len(people))
    possible = list(permutations(people))
    hints: list[str] = []
    while len(possible) > 1:
        first, second = random.sample(people, 2)
        here, there = true.index(first), true.index(second)
        apart = abs(here - there) - 1
        if random.random() < 0.5:
            earlier, later = (first, second) if here < there else (second, first)
            left = [order for order in possible if order.index(earlier) < order.index(later)]
            hint = f"{earlier} stands somewhere before {later}."
        else:
            left = [order for order in possible if abs(order.index(first) - order.index(second)) - 1 == apart]
            hint = f"Exactly {apart} {'person stands' if apart == 1 else 'people stand'} between {first} and {second}."
        if len(left) < len(possible):
            possible, hints = left, [*hints, hint]
    place = random.randrange(len(people))
    return (
        "text",
        f"{', '.join(people)} stand in a row. {' '.join(hints)} Who is number {place + 1} from the front?",
        true[place],
    )


def knights(random: random.Random, level: int) -> Computed:
    """Ask about truth tellers and liars; exactly one assignment is consistent."""
    while True:
        people = random.sample(_NAMES, 2 + level % 3)
        claims = [(random.randrange(len(people)), random.random() < 0.5) for _ in people]
        linked = random.randrange(2, len(people) + 1)
        consistent = [
            truth
            for truth in _assignments(len(people))
            if all(
                truth[speaker] == ((sum(truth) == linked) if speaker == 0 else (truth[about] == says))
                for speaker, (about, says) in enumerate(claims)
            )
        ]
        if len(consistent) == 1 and all(about != speaker for speaker, (about, _) in enumerate(claims) if speaker):
            break
    statements = [f'{people[0]} says: "Exactly {linked} of us tell the truth."']
    statements += [
        f'{people[speaker]} says: "{people[about]} {"tells the truth" if says else "lies"}."'
        for speaker, (about, says) in enumerate(claims)
        if speaker
    ]
    return (
        "number",
        f"{', '.join(people)} each either always tell the truth or always lie. {' '.join(statements)} "
        "How many of them tell the truth?",
        sum(consistent[0]),
    )


def _assignments(n: int) -> Iterator[tuple[bool, ...]]:
    return (tuple(bool(number >> place & 1) for place in range(n)) for number in range(2**n))


_WORDS = (
    "lantern",
    "harbour",
    "velvet",
    "quartz",
    "meadow",
    "signal",
    "orchid",
    "tunnel",
    "kit",
    "sun",
    "ember",
    "fjord",
)
_PROGRAMS: tuple[tuple[str, Callable[[random.Random], tuple[object, ...]]], ...] = (
    (
        "def f(words):\n    return sorted({word[0] for word in words if len(word) > 3})",
        lambda r: (r.sample(_WORDS, 5),),
    ),
    (
        "def f(numbers):\n    kept = []\n    for number in numbers:\n        while kept and kept[-1] < number:\n"
        "            kept.pop()\n        kept.append(number)\n    return kept",
        lambda r: ([r.randint(0, 9) for _ in range(7)],),
    ),
    (
        "def f(text, shift):\n"
        "    return ''.join(chr((ord(c) - 97 + shift) % 26 + 97) if c.islower() else c for c in text)",
        lambda r: (r.choice(_WORDS).title(), r.randint(1, 9)),
    ),
    (
        "def f(n):\n    steps = 0\n    while n != 1:\n        n = n // 2 if n % 2 == 0 else 3 * n + 1\n"
        "        steps += 1\n    return steps",
        lambda r: (r.randint(5, 40),),
    ),
    (
        "def f(pairs):\n    found = {}\n    for key, value in pairs:\n        found.setdefault(key, []).append(value)\n"
        "    return {key: sum(values) for key, values in found.items() if len(values) > 1}",
        lambda r: ([(r.choice("abc"), r.randint(1, 9)) for _ in range(6)],),
    ),
    (
        "def f(rows):\n    return [list(column)[::-1] for column in zip(*rows)]",
        lambda r: ([[r.randint(0, 9) for _ in range(3)] for _ in range(2)],),
    ),
    (
        "def f(text):\n    out, run = '', 1\n    for left, right in zip(text, text[1:] + ' '):\n"
        "        if left == right:\n            run += 1\n        else:\n            out += left + str(run)\n"
        "            run = 1\n    return out",
        lambda r: ("".join(r.choice("xyz") * r.randint(1, 3) for _ in range(5)),),
    ),
    (
        "def f(numbers, k):\n    for _ in range(k):\n        numbers = [b - a for a, b in zip(numbers, numbers[1:])]\n"
        "    return numbers",
        lambda r: ([r.randint(-9, 30) for _ in range(6)], r.randint(1, 3)),
    ),
    (
        "def f(word):\n    a, b = '', ''\n    for place, letter in enumerate(word):\n        if place % 3:\n"
        "            a += letter\n        else:\n            b = letter + b\n    return a + b",
        lambda r: (r.choice(_WORDS),),
    ),
    (
        "def f(a, b):\n    seen = []\n    while b:\n        seen.append(a // b)\n        a, b = b, a % b\n"
        "    return seen, a",
        lambda r: (r.randint(50, 400), r.randint(12, 49)),
    ),
)


def program(random: random.Random, level: int) -> Computed:
    """Ask what a short Python function returns; the answer comes from running it."""
    source, make_arguments = _PROGRAMS[level % len(_PROGRAMS)]
    arguments = make_arguments(random)
    namespace: dict[str, Callable[..., object]] = {}
    exec(source, namespace)  # noqa: S102 - only the programs above
    shown = ", ".join(map(repr, arguments))
    return "literal", f"```python\n{source}\n```\n\nWhat does f({shown}) return?", repr(namespace["f"](*arguments))


REASONING: tuple[Callable[[random.Random, int], Computed], ...] = (
    shopping,
    journey,
    divisibility,
    counting,
    algebra,
    geometry,
    calendar,
    letters,
    ordering,
    knights,
    program,
)
