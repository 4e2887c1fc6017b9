"""Questions whose whole answer must have a form: JSON, CSV, lists, exact numbers of words and sentences."""

import csv
import io
import json
import random
from decimal import Decimal

from training.question_bank.drafts import Draft, Make, listed, whole

_NAMES = ("Ada", "Ben", "Chloe", "Dan", "Eve", "Farid", "Grace", "Hugo", "Ines", "Jun", "Kofi", "Lena")
_TOWNS = ("Lyon", "Porto", "Graz", "Turin", "Ghent", "Malmö", "Leeds", "Brno")
_HOBBIES = ("chess", "rowing", "pottery", "baking", "hiking", "opera", "judo", "origami")
_GOODS = ("pens", "mugs", "lamps", "books", "plants", "kites", "scarves", "bowls", "ropes", "clocks")
_DEPARTMENTS = ("sales", "support", "legal", "design")
_JSON_ALONE = "Reply with the JSON alone: no explanation, no text before or after it."


def json_records(random: random.Random, level: int) -> Draft:
    """Ask for a JSON object with exactly some keys; higher levels have lists, nulls, nested objects and sums."""
    name, age, town = random.choice(_NAMES), random.randint(19, 78), random.choice(_TOWNS)
    if level < 3:
        joined = random.randint(2001, 2025)
        record: object = {"name": name, "age": age, "town": town, "member_since": joined}
        fact = f"{name} from {town} is {age} years old and joined the club in {joined}."
        keys = "`name` (text), `age` (number), `town` (text) and `member_since` (number)"
        return whole(
            "json",
            f"{fact}\n\nWrite this as a JSON object with exactly the keys {keys}. {_JSON_ALONE}",
            record,
            _js(record),
        )
    hobbies = random.sample(_HOBBIES, 3)
    if level < 6:
        married = random.random() < 0.5
        record = {"name": name, "age": age, "married": married, "hobbies": sorted(hobbies), "email": None}
        fact = (
            f"{name} is {'married' if married else 'not married'} and lives in {town}. {name}'s hobbies are "
            f"{listed(hobbies)}. {name} turned {age} last week. No e-mail address was given."
        )
        keys = (
            "`name` (text), `age` (number), `married` (boolean), `hobbies` (list of texts in alphabetical order) and "
            "`email` (text, or null if it is unknown)"
        )
        return whole(
            "json",
            f"{fact}\n\nWrite this as a JSON object with exactly the keys {keys}. {_JSON_ALONE}",
            record,
            _js(record),
        )
    goods = random.sample(_GOODS, level - 3)
    orders = [(item, random.randint(2, 15), random.randint(2, 40)) for item in goods]
    sent = random.sample(goods, 2)
    fact = " ".join(f"{name} ordered {count} {item} at {price} dollars each." for item, count, price in orders)
    orders.sort(key=lambda order: -order[1] * order[2])
    lines = [{"item": item, "total": count * price, "sent": item in sent} for item, count, price in orders]
    record = {"customer": {"name": name, "town": town}, "lines": lines, "open": sum(not line["sent"] for line in lines)}
    if len({line["total"] for line in lines}) < len(lines):
        return json_records(random, level)  # two lines of one total have no order
    return whole(
        "json",
        f"{fact} {name} lives in {town}. So far the {listed(sent)} have been sent, and nothing else.\n\n"
        "Write this as a JSON object with exactly the keys `customer`, `lines` and `open`. `customer` is an object "
        "with "
        "`name` and `town`. `lines` is a list of objects with `item` (text), `total` (count times price, a number) and "
        f"`sent` (boolean), the largest total first. `open` is the number of lines that were not sent. {_JSON_ALONE}",
        record,
        _js(record),
    )


def csv_rows(random: random.Random, level: int) -> Draft:
    """Ask for CSV with a header and some rows; higher levels sort, filter, compute and quote."""
    n_rows = 3 + level // 2
    people = random.sample(_NAMES, n_rows)
    facts = [(who, random.choice(_DEPARTMENTS), random.randint(11, 99) * 100, random.randint(1, 28)) for who in people]
    text = " ".join(
        f"{who} works in {where}, earns {pay} euros and has {days} days left." for who, where, pay, days in facts
    )
    if level < 3:
        rows = [["name", "department", "pay"], *([who, where, str(pay)] for who, where, pay, _ in facts)]
        what = "with the header `name,department,pay` and one row for each person, in the order of the text"
    elif level < 6:
        if len({days for *_, days in facts}) < n_rows:
            return csv_rows(random, level)
        by_days = sorted(facts, key=lambda fact: -fact[3])
        rows = [["name", "days", "pay"], *([who, str(days), str(pay)] for who, _, pay, days in by_days)]
        what = "with the header `name,days,pay` and one row for each person, the most days first"
    else:
        least = sorted(days for *_, days in facts)[1]
        kept = sorted(fact for fact in facts if fact[3] > least)
        rows = [
            ["name", "team", "daily"],
            *(
                [f"{who}, {where}", "-".join((where[:3].upper(), str(days))), str(Decimal(pay) / 20)]
                for who, where, pay, days in kept
            ),
        ]
        what = (
            f"with the header `name,team,daily` for the people with more than {least} days left, sorted by name. "
            "`name` is "
            "the name, a comma, a blank and the department in one cell, in double quotes. `team` is the first three "
            "letters of the department in capitals, a hyphen and the days. `daily` is the pay divided by 20, without "
            "needless zeros"
        )
        rows[1:] = [[a, b, f"{Decimal(c).normalize():f}"] for a, b, c in rows[1:]]
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return whole(
        "csv",
        f"{text}\n\nWrite this as CSV {what}. Separate cells with commas, without blanks around them. "
        "Reply with the CSV alone.",
        {"rows": rows},
        file.getvalue(),
    )


def ordered_lists(random: random.Random, level: int) -> Draft:
    """Ask for a list in an order and a form; the order takes more than one key at higher levels."""
    goods = random.sample(_GOODS, min(4 + level // 2, 8))
    if level < 2:
        items, how = sorted(goods), "in alphabetical order"
        asked = listed(goods)
    elif level < 4:
        items = sorted(goods, reverse=True)
        asked, how = listed(goods), "in reverse alphabetical order, in capital letters"
        items = [item.upper() for item in items]
    elif level < 7:
        grams = random.sample(range(100, 3_000, 50), len(goods))
        weights = dict(zip(goods, grams, strict=True))
        asked = listed(
            [
                f"{item} ({w / 1000:g} kg)" if w % 500 == 0 or w > 999 else f"{item} ({w} g)"
                for item, w in weights.items()
            ]
        )
        items, how = sorted(goods, key=lambda item: -weights[item]), "without the weights, the heaviest first"
    else:
        counts = {item: random.randint(1, 3) for item in goods}
        asked = listed([f"{item} ({count})" for item, count in counts.items()])
        items = [f"{item}: {count}" for item, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]
        how = "as `item: number`, the largest number first; items with the same number in alphabetical order"
    is_numbered = level % 2 == 1
    lines = [f"{place}. {item}" if is_numbered else f"- {item}" for place, item in enumerate(items, start=1)]
    form = "numbered list, from `1. ` on" if is_numbered else "list with one bullet `- ` a line"
    return whole(
        "form",
        f"Here are some goods: {asked}.\n\nWrite them as a {form}, {how}. Reply with the list alone.",
        {"numbered" if is_numbered else "bullets": len(items), "items": items},
        "\n".join(lines),
    )


_WITHOUT_E = (
    "a",
    "soft",
    "wind",
    "is",
    "calm",
    "and",
    "warm",
    "as",
    "our",
    "boat",
    "starts",
    "drifting",
    "to",
    "a",
    "bay",
)
_TOPICS = ("garden", "harbour", "forest", "market", "train", "library", "mountain", "kitchen")
_ACROSTICS = ("LAMP", "CORN", "BIRD", "MUSIC", "STONE", "PLANT", "SILVER", "GARDEN", "MORNING", "HOLIDAYS")


def instructions(random: random.Random, level: int) -> Draft:
    """Ask for text with exact numbers of words or sentences, without a letter, or with given first letters."""
    topic, kind = random.choice(_TOPICS), random.randrange(4)
    n_words = 6 + 2 * level + random.randint(0, 1)
    if kind == 0:
        words = _filled(n_words, topic)
        what = f"Write one sentence of exactly {n_words} words about a {topic}. It must have the word {topic!r}"
        rule: dict[str, object] = {"words": n_words, "sentences": 1, "has": [topic]}
        solution = f"{words}."
    elif kind == 1:
        n_words += 4
        solution = f"{' '.join((_WITHOUT_E * 3)[:n_words])}."
        what = f"Write one sentence of exactly {n_words} words that does not have the letter e anywhere"
        rule = {"words": n_words, "sentences": 1, "lacks": "e"}
    elif kind == 2:
        word = _ACROSTICS[level]
        longest = 6 - level // 3
        what = (
            f"Write a poem of {len(word)} lines about a {topic}. The first letters of the lines spell {word}. No line "
            "has "
            f"more than {longest} words"
        )
        rule = {"lines": len(word), "initials": word, "longest_line_words": longest}
        solution = "\n".join(f"{letter}ight" for letter in word)
    else:
        n_sentences = 2 + level // 2
        what = (
            f"Write exactly {n_sentences} sentences about a {topic}, {5 * n_sentences} words in all, in small letters "
            "only. "
            f"The first word is {topic!r} and the last word is 'end'"
        )
        rule = {"words": 5 * n_sentences, "sentences": n_sentences, "starts": topic, "ends": "end", "case": "lower"}
        solution = " ".join(
            [f"{topic} and so it goes.", *["on and on it goes."] * (n_sentences - 2), "this is now the end."]
        )
    return whole("form", f"{what}. Reply with the text alone.", rule, solution)


def _filled(n_words: int, topic: str) -> str:
    return " ".join([topic, *(["slowly", "and", "quietly"] * n_words)[: n_words - 1]])


def _js(record: object) -> str:
    return json.dumps(record, ensure_ascii=False)


FORMS: tuple[Make, ...] = (json_records, csv_rows, ordered_lists, instructions)
