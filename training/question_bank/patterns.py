"""Questions that are answered by a regular expression. The texts that it must match, and must not, are not shown."""

import random
import re
from dataclasses import dataclass

from training.question_bank.drafts import Draft, Make, stated


@dataclass(frozen=True, slots=True)
class _Pattern:
    text: str
    pattern: str
    matches: tuple[str, ...]
    misses: tuple[str, ...]


_PATTERNS: tuple[_Pattern, ...] = (
    _Pattern("exactly {n} digits", r"\d{{{n}}}", ("{digits}",), ("{digits}0", "", "abc", "{less}")),
    _Pattern(
        "one or more small letters a to z, then exactly {n} digits",
        r"[a-z]+\d{{{n}}}",
        ("a{digits}", "lamp{digits}"),
        ("{digits}", "A{digits}", "lamp", "lamp{digits}1"),
    ),
    _Pattern(
        "a time from 00:00 to 23:59, always with two digits for hours and minutes",
        r"([01]\d|2[0-3]):[0-5]\d",
        ("00:00", "23:59", "19:05"),
        ("24:00", "7:30", "12:60", "1200"),
    ),
    _Pattern(
        "a colour like #1a2B3c: a hash sign and exactly six hexadecimal digits of any case",
        r"#[0-9a-fA-F]{{6}}",
        ("#1a2B3c", "#000000"),
        ("1a2B3c", "#1a2B3", "#1a2B3g", "#1a2B3c0"),
    ),
    _Pattern(
        "a price in euros: a whole number without leading zeros, or 0, then a comma and exactly two digits",
        r"(0|[1-9]\d*),\d\d",
        ("0,99", "12,50", "100,00"),
        ("012,50", "12,5", "12.50", ",50", "1,000,00"),
    ),
    _Pattern(
        "a word of at least {n} letters a to z that begins and ends with a vowel (a, e, i, o, u)",
        r"[aeiou][a-z]{{{m},}}[aeiou]",
        ("a{fill}e", "o{fill}xxa"),
        ("b{fill}e", "a{fill}b", "ae", "A{fill}e"),
    ),
    _Pattern(
        "two equal words of small letters with one blank between them",
        r"([a-z]+) \1",
        ("so so", "a a"),
        ("so do", "so  so", "so so so", "soso"),
    ),
    _Pattern(
        "a number from 1 to 99 without leading zeros", r"[1-9]\d?", ("1", "10", "99"), ("0", "00", "100", "07", "")
    ),
    _Pattern(
        "a file name that ends in .jpg or .png, with at least one character other than a slash before the dot",
        r"[^/]+\.(jpg|png)",
        ("a.jpg", "x.y.png"),
        (".jpg", "a/b.png", "a.jpeg", "ajpg"),
    ),
    _Pattern(
        "a list of whole numbers, at least two, separated by a comma and one blank",
        r"\d+(, \d+)+",
        ("1, 2", "10, 20, 30"),
        ("1", "1,2", "1, ", "1, 2,"),
    ),
    _Pattern(
        "a date as DD.MM.YYYY with days 01 to 31 and months 01 to 12 (no check of the month's length)",
        r"(0[1-9]|[12]\d|3[01])\.(0[1-9]|1[0-2])\.\d{{4}}",
        ("01.01.2026", "31.12.1999"),
        ("32.01.2026", "00.10.2026", "1.1.2026", "01.13.2026", "01-01-2026"),
    ),
    _Pattern(
        "text in double quotes in which double quotes occur only after a backslash, and backslashes only before a "
        "double quote or a backslash",
        r'"([^"\\]|\\["\\])*"',
        ('""', '"a b"', r'"say \"hi\""', r'"a\\"'),
        ('"', '"a"b"', r'"a\"', r'"a\n"'),
    ),
    _Pattern(
        "a number from 0 to 255 without leading zeros",
        r"(\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])",
        ("0", "99", "199", "249", "255"),
        ("256", "300", "00", "01", "1000", ""),
    ),
    _Pattern(
        "a text of the letters a and b in which no two a's stand next to each other; it has at least one letter",
        r"(a(?!a)|b)+",
        ("a", "b", "abab", "bbabb"),
        ("", "aa", "baab", "abc"),
    ),
    _Pattern(
        "a binary number (digits 0 and 1, at least one) with an even number of ones; leading zeros are allowed",
        r"0*(10*10*)*(?<!^)",
        ("0", "11", "1010", "0110", "10001"),
        ("1", "111", "10", "", "12"),
    ),
    _Pattern(
        "a text of small letters, at least one, that has no letter twice in a row",
        r"(?!.*(.)\1)[a-z]+",
        ("a", "abab", "lamp"),
        ("aa", "book", "", "Ab"),
    ),
    _Pattern(
        "a password of at least {n} characters, letters a to z of any case and digits only, with at least one digit "
        "and one capital letter",
        r"(?=.*\d)(?=.*[A-Z])[A-Za-z\d]{{{n},}}",
        ("A{digits}", "xY{digits}z"),
        ("a{digits}", "{letters}A", "A1", "A {digits}"),
    ),
    _Pattern(
        "a whole number with commas between groups of three digits, as in 1,234,567; below 1,000 without a comma; "
        "without leading zeros, 0 included",
        r"(0|[1-9]\d{{0,2}}(,\d{{3}})*)",
        ("0", "12", "999", "1,000", "12,345,678"),
        ("1000", "1,00", "0,123", ",123", "1,0000"),
    ),
    _Pattern(
        "a text of the letters a, b and c in which every a comes before every c, each of the three letters at least "
        "once, b anywhere",
        r"(?=.*b)b*a[ab]*c[bc]*",
        ("abc", "bac", "aacb", "abbcc"),
        ("ac", "cab", "abca", "bc", "ab"),
    ),
    _Pattern(
        "a number in binary digits, at least one digit, that can be divided by three; leading zeros are allowed",
        r"(0|1(01*0)*1)+",
        ("0", "11", "110", "1001", "1100", "10101"),
        ("1", "10", "100", "101", "111", "1000", ""),
    ),
)


def patterns(random: random.Random, level: int) -> Draft:
    """Ask for a regular expression; the texts that it must match, and must not, are not shown."""
    chosen = _PATTERNS[2 * level + random.randrange(2)]
    n = random.randint(3, 6)
    blanks = {
        "n": n,
        "m": n - 2,
        "digits": "123456"[:n],
        "less": "123456"[: n - 1],
        "letters": "abcdef"[:n],
        "fill": "bcdfgh"[: n - 2],
    }
    pattern = chosen.pattern.format(**blanks) if "{" in chosen.pattern else chosen.pattern
    matches, misses = ([text.format(**blanks) for text in texts] for texts in (chosen.matches, chosen.misses))
    wrong = [text for text in matches if not re.fullmatch(pattern, text)]
    wrong += [text for text in misses if re.fullmatch(pattern, text)]
    if wrong:
        raise ValueError(f"the pattern {pattern!r} is wrong about {wrong}. Mend it or its texts.")
    return stated(
        "regex",
        f"Write a regular expression for Python's `re.fullmatch` that matches {chosen.text.format(**blanks)}, and "
        "nothing else.",
        {"matches": matches, "misses": misses},
        f"`{pattern}`",
    )


PATTERNS: tuple[Make, ...] = (patterns,)
