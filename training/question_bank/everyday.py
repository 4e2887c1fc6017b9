"""Everyday questions with a computed answer: bills, dates, units, facts in a letter, tables."""

import random
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from training.question_bank.drafts import Draft, Make, markdown_table, stated, whole

_NAMES = ("Ada", "Ben", "Chloe", "Dan", "Eve", "Farid", "Grace", "Hugo", "Ines", "Jun")
_CENT = Decimal("0.01")


def bills(random: random.Random, level: int) -> Draft:
    """Ask for sums of money in a text: shares, discounts, taxes, interest; rounded to cents."""
    price = Decimal(random.randint(1_200, 48_000)) / 100
    who = random.choice(_NAMES)
    if level < 2:
        tip, people = random.choice((10, 15, 20)), random.randint(3, 7)
        amount = price * (100 + tip) / 100 / people
        text = (
            f"A dinner costs {price} dollars. {people} friends add a tip of {tip}% and share the sum equally. How "
            "much does each pay?"
        )
    elif level < 4:
        off, tax = random.choice((5, 15, 25, 30)), random.choice((7, 19, 21))
        amount = price * (100 - off) / 100 * (100 + tax) / 100
        text = (
            f"{who} buys a coat for {price} euros before tax. The shop takes {off}% off that price and then adds "
            f"{tax}% tax. "
            "How much does the coat cost?"
        )
    elif level < 6:
        months, rate = random.randint(5, 20), random.choice((3, 4, 6, 9))
        amount = price * 10 * rate / 100 * months / 12
        text = (
            f"{who} lends {price * 10} francs for {months} months at {rate}% simple interest a year. How much "
            "interest is that?"
        )
    elif level < 8:
        years, rate, fee = random.randint(3, 6), random.choice((2, 3, 5)), random.randint(2, 9)
        amount = price * 10
        for _ in range(years):
            amount = amount * (100 + rate) / 100 - fee
        text = (
            f"{who} has {price * 10} dollars in an account. At the end of each year {rate}% interest is added, and "
            "then a fee of "
            f"{fee} dollars is taken off. How much is in the account after {years} years? Round only at the end."
        )
    else:
        hours, wage, extra = (
            random.randint(43, 56),
            Decimal(random.randint(1_500, 3_500)) / 100,
            random.choice((25, 50)),
        )
        tax, free = random.choice((18, 22, 27)), random.randint(10, 20) * 10
        gross = 40 * wage + (hours - 40) * wage * (100 + extra) / 100
        amount = gross - (gross - free) * tax / 100
        text = (
            f"{who} earns {wage} euros an hour, and {extra}% more for every hour above 40 in a week. {tax}% tax is "
            "taken off all "
            f"that exceeds {free} euros a week. How much is left of a week with {hours} hours?"
        )
    if _is_near_half(amount * 100):
        return bills(random, level)
    return stated("number", f"{text} Give the amount rounded to cents.", amount.quantize(_CENT, ROUND_HALF_UP))


def _is_near_half(amount: Decimal) -> bool:
    """Return whether two ways of rounding could differ."""
    return abs(amount % 1 - Decimal("0.5")) < Decimal("0.02")


def dates(random: random.Random, level: int) -> Draft:
    """Ask for dates: ends of months, n-th weekdays, working days, weeks of the year, time zones."""
    start = date(random.randint(2023, 2029), random.randint(1, 12), random.randint(1, 28))
    weekday = random.choice(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"))
    if level < 2:
        weeks = random.randint(5, 30)
        text, day = f"Which date is {weeks} weeks after {start:%d %B %Y}?", start + timedelta(weeks=weeks)
    elif level < 4:
        place, days = random.randint(2, 4), [start.replace(day=1) + timedelta(day) for day in range(28)]
        text = f"Which date is the {('second', 'third', 'fourth')[place - 2]} {weekday} of {start:%B %Y}?"
        day = [each for each in days if f"{each:%A}" == weekday][place - 1]
    elif level < 6:
        months = random.randint(2, 14)
        first = date(start.year + (start.month + months) // 12, (start.month + months) % 12 + 1, 1)
        text = (
            f"A contract of {start:%d %B %Y} ends on the last day of the month that comes {months} months after its "
            "own month. Which date is that?"
        )
        day = first - timedelta(1)
    elif level < 8:
        count, day = random.randint(8, 25), start
        closed = start + timedelta(random.randint(3, 6))
        for _ in range(count):
            day += timedelta(1)
            while day.weekday() > 4 or day == closed:
                day += timedelta(1)
        text = (
            f"An order comes in on {start:%A, %d %B %Y}. It is ready {count} working days later. Saturdays, Sundays "
            "and "
            f"{closed:%d %B} are no working days; the day of the order does not count. On which date is it ready?"
        )
    else:
        begin = datetime(start.year, start.month, start.day, random.randint(14, 23), random.choice((5, 20, 35, 50)))
        flight, zone = random.randint(400, 900), random.choice((-9, -8, -5, 6, 9, 10))
        end = begin + timedelta(minutes=flight, hours=zone)
        text = (
            f"A plane leaves Lagos on {begin:%d %B %Y} at {begin:%H:%M} and flies for {flight // 60} hours and "
            f"{flight % 60} minutes. "
            f"The clocks of its destination are {abs(zone)} hours {'ahead of' if zone > 0 else 'behind'} those of "
            "Lagos. When does "
            "it land, by the clocks there? Write date and time as YYYY-MM-DD HH:MM."
        )
        return stated("phrase", text, [f"{end:%Y-%m-%d %H:%M}"])
    return stated("phrase", f"{text} Write the date as YYYY-MM-DD.", [f"{day:%Y-%m-%d}"])


_UNITS: tuple[tuple[str, str, str, tuple[int, int]], ...] = (
    ("inches", "centimetres", "2.54", (5, 90)),
    ("miles", "kilometres", "1.609344", (3, 400)),
    ("pounds", "kilograms", "0.45359237", (4, 250)),
    ("feet", "metres", "0.3048", (6, 900)),
    ("US gallons", "litres", "3.785411784", (2, 60)),
    ("ounces", "grams", "28.349523125", (2, 40)),
    ("acres", "hectares", "0.40468564224", (3, 300)),
    ("nautical miles", "kilometres", "1.852", (5, 700)),
)


def units(random: random.Random, level: int) -> Draft:
    """Ask for conversions of units; higher levels convert two units at once."""
    unit, metric, factor, (low, high) = random.choice(_UNITS)
    number, digits = random.randint(low, high), 1 if level < 2 else 2
    if level < 4:
        text, amount = (
            f"How many {metric} are {number} {unit}? One of these {unit} is {factor} {metric}.",
            number * Decimal(factor),
        )
        if level > 1:
            text, amount = f"How many {unit} are {number} {metric}?", number / Decimal(factor)
    elif level < 6:
        fahrenheit = random.randint(-20, 210)
        text, amount = (
            f"How many kelvins are {fahrenheit} degrees Fahrenheit?",
            (Decimal(fahrenheit) - 32) * 5 / 9 + Decimal("273.15"),
        )
    elif level < 8:
        per_gallon = random.randint(14, 60)
        amount = 100 * Decimal("3.785411784") / (per_gallon * Decimal("1.609344"))
        text = f"A car runs {per_gallon} miles on a US gallon. How many litres does it need for 100 kilometres?"
    else:
        feet, inches, wide = random.randint(9, 30), random.randint(1, 11), random.randint(3, 12)
        price = Decimal(random.randint(400, 4_500)) / 100
        amount = (feet * 12 + inches) * Decimal("0.0254") * wide * Decimal("0.9144") * price
        text = (
            f"A floor is {feet} feet {inches} inches long and {wide} yards wide. A carpet costs {price} euros a square "
            "metre. How "
            "many euros does the carpet for the whole floor cost?"
        )
    if _is_near_half(amount * 10**digits):
        return units(random, level)
    rounded = amount.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return stated("number", f"{text} Round to {digits} decimal{'s' if digits > 1 else ''}.", rounded)


_STREETS = ("Mill Lane", "Harbour Street", "Oak Avenue", "Station Road", "Castle Hill")


def extraction(random: random.Random, level: int) -> Draft:
    """Ask for the facts in a letter as JSON; higher levels have more numbers, corrections and dates in words."""
    who, other = random.sample(_NAMES, 2)
    order, old = (f"{random.choice('ABKRTX')}{random.randint(10_000, 99_999)}" for _ in range(2))
    paid, back = Decimal(random.randint(2_000, 40_000)) / 100, Decimal(random.randint(300, 1_900)) / 100
    due = date(2026, random.randint(1, 12), random.randint(1, 28))
    number, street = random.randint(2, 180), random.choice(_STREETS)
    lines = [f"Dear {other},", f"thank you for order {order} of {paid} euros, to be paid by {due:%d %B %Y}."]
    if level > 1:
        lines.append(f"Your earlier order {old} is closed, so please do not mention it when you pay.")
    if level > 3:
        lines.append(f"{back} euros of the price are taken off because one cup was broken.")
        paid -= back
    if level > 5:
        due += timedelta(days=(7 - due.weekday()) % 7 or 7)
        lines.append(
            f"As we were late, the Monday after that date is early enough, and our clerk {who} will wait until then."
        )
    if level > 7:
        lines += [
            f"The parcel goes to {number + 2} {street}.",
            f"Sorry, {who} has just told me that it is number {number}, not {number + 2}.",
        ]
    else:
        lines.append(f"The parcel goes to {number} {street}.")
    lines.append(f"Yours, {random.choice([name for name in _NAMES if name not in (who, other)])}")
    record = {"order": order, "amount": float(paid), "due": f"{due:%Y-%m-%d}", "address": f"{number} {street}"}
    letter = "\n".join(lines)
    solution = f'{{"order": "{order}", "amount": {paid}, "due": "{record["due"]}", "address": "{record["address"]}"}}'
    return whole(
        "json",
        f"{letter}\n\nWhat is to be paid? Write a JSON object with exactly the keys `order` (text), `amount` (euros "
        "that remain "
        "to be paid, a number), `due` (the last day, YYYY-MM-DD) and `address` (number and street, text). Reply with "
        "the JSON "
        "alone: no explanation, no text before or after it.",
        record,
        solution,
    )


_CITIES = ("Aarhus", "Bergen", "Cork", "Dijon", "Essen", "Faro", "Genoa", "Haarlem", "Izmir", "Jena", "Kaunas", "Linz")
_SHIRTS = ("red", "green", "blue")


def tables(random: random.Random, level: int) -> Draft:
    """Ask about a table: one cell, counts, extremes, sums, and two tables that belong together."""
    rows = [
        {
            "city": city,
            "shop": random.choice(("north", "south")),
            "sold": random.randint(20, 400),
            "price": random.randint(4, 60),
            "returned": random.randint(0, 19),
        }
        for city in random.sample(_CITIES, 5 + level // 2)
    ]
    row, least = random.choice(rows), random.randint(80, 250)
    north = [each for each in rows if each["shop"] == "north"]
    if len(north) < 2 or len({int(each["sold"]) * int(each["price"]) for each in rows}) < len(rows):
        return tables(random, level)
    questions: Sequence[Callable[[], tuple[str, object]]] = (
        lambda: (f"How many were sold in {row['city']}?", row["sold"]),
        lambda: (f"In how many cities were more than {least} sold?", sum(int(each["sold"]) > least for each in rows)),
        lambda: (
            "How many were returned in all the north shops together?",
            sum(int(each["returned"]) for each in north),
        ),
        lambda: (
            "Which city took in most (sold times price)?",
            max(rows, key=lambda each: int(each["sold"]) * int(each["price"]))["city"],
        ),
        lambda: (
            "How much was taken in (sold times price) by the north shops, less what was given back for returned ones?",
            sum((int(each["sold"]) - int(each["returned"])) * int(each["price"]) for each in north),
        ),
    )
    text, answer = questions[min(level // 2, 4)]()
    table = markdown_table(rows)
    if level > 7:
        rates = dict(zip(("north", "south"), random.sample(range(3, 13), 2), strict=True))
        table += "\n\n" + markdown_table([{"shop": shop, "tax in %": rate} for shop, rate in rates.items()])
        total = sum(int(each["sold"]) * int(each["price"]) * rates[str(each["shop"])] for each in rows)
        text, answer = "How much tax falls due in all cities together, on sold times price?", Decimal(total) / 100
    return stated("text" if isinstance(answer, str) else "number", f"{table}\n\n{text}", answer)


EVERYDAY: tuple[Make, ...] = (bills, dates, units, extraction, tables)
