"""Questions in and about several languages: numbers, dates and names in words, and small sums in six languages."""

import random
from collections.abc import Callable, Mapping
from datetime import date

from training.question_bank.drafts import Draft, Make, stated


def _split(words: str) -> list[str]:
    return words.split()


_GERMAN = _split(
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn "
    "siebzehn achtzehn neunzehn"
)
_GERMAN_TENS = _split("- - zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig")
_FRENCH = _split(
    "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept "
    "dix-huit dix-neuf"
)
_FRENCH_TENS = ["-", "-", "vingt", "trente", "quarante", "cinquante", "soixante"]
_SPANISH = _split(
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis "
    "diecisiete dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro veinticinco veintiséis "
    "veintisiete veintiocho veintinueve"
)
_SPANISH_TENS = _split("- - - treinta cuarenta cincuenta sesenta setenta ochenta noventa")
_SPANISH_HUNDREDS = [
    "-",
    "ciento",
    "doscientos",
    "trescientos",
    "cuatrocientos",
    "quinientos",
    "seiscientos",
    "setecientos",
    "ochocientos",
    "novecientos",
]


def german(n: int) -> str:
    """Return a number below a million in German words."""
    if n >= 1_000:
        thousands = "ein" if n // 1_000 == 1 else german(n // 1_000)
        return (
            (thousands[:-1] if thousands.endswith("eins") else thousands)
            + "tausend"
            + (german(n % 1_000) if n % 1_000 else "")
        )
    if n >= 100:
        return ("ein" if n // 100 == 1 else _GERMAN[n // 100]) + "hundert" + (german(n % 100) if n % 100 else "")
    if n < 20:
        return _GERMAN[n]
    unit = "ein" if n % 10 == 1 else _GERMAN[n % 10]
    return (f"{unit}und" if n % 10 else "") + _GERMAN_TENS[n // 10]


def french(n: int, *, is_last: bool = True) -> str:
    """Return a number below a million in French words, in the spelling with hyphens below a hundred."""
    if n >= 1_000:
        thousands = "" if n // 1_000 == 1 else french(n // 1_000, is_last=False) + " "
        return thousands + "mille" + (f" {french(n % 1_000)}" if n % 1_000 else "")
    if n >= 100:
        many = "" if n // 100 == 1 else _FRENCH[n // 100] + " "
        plural = "s" if n % 100 == 0 and n >= 200 and is_last else ""
        return f"{many}cent{plural}" + (f" {french(n % 100, is_last=is_last)}" if n % 100 else "")
    if n < 20:
        return _FRENCH[n]
    if n >= 80:
        return f"quatre-vingt-{_FRENCH[n - 80]}" if n > 80 else "quatre-vingts" if is_last else "quatre-vingt"
    tens, unit = ("soixante", n - 60) if n >= 60 else (_FRENCH_TENS[n // 10], n % 10)
    if unit == 0:
        return tens
    return f"{tens} et {_FRENCH[unit]}" if unit in (1, 11) else f"{tens}-{_FRENCH[unit]}"


def spanish(n: int) -> str:
    """Return a number below a million in Spanish words."""
    if n >= 1_000:
        thousands = spanish(n // 1_000)
        if thousands.endswith("veintiuno"):
            thousands = thousands.removesuffix("veintiuno") + "veintiún"
        elif thousands.endswith("uno"):
            thousands = thousands.removesuffix("o")
        return ("" if n // 1_000 == 1 else thousands + " ") + "mil" + (f" {spanish(n % 1_000)}" if n % 1_000 else "")
    if n == 100:
        return "cien"
    if n > 100:
        return _SPANISH_HUNDREDS[n // 100] + (f" {spanish(n % 100)}" if n % 100 else "")
    if n < 30:
        return _SPANISH[n]
    return _SPANISH_TENS[n // 10] + (f" y {_SPANISH[n % 10]}" if n % 10 else "")


_NUMBER_WORDS: Mapping[str, Callable[[int], str]] = {"German": german, "French": french, "Spanish": spanish}
_MONTHS: Mapping[str, list[str]] = {
    "German": _split("Januar Februar März April Mai Juni Juli August September Oktober November Dezember"),
    "French": _split("janvier février mars avril mai juin juillet août septembre octobre novembre décembre"),
    "Spanish": _split("enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"),
    "Italian": _split("gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre"),
    "Dutch": _split("januari februari maart april mei juni juli augustus september oktober november december"),
}
_PLACES: tuple[tuple[str, str, str, str], ...] = (
    ("Germany", "Deutschland", "Allemagne", "Alemania"),
    ("Switzerland", "Schweiz", "Suisse", "Suiza"),
    ("Hungary", "Ungarn", "Hongrie", "Hungría"),
    ("Greece", "Griechenland", "Grèce", "Grecia"),
    ("Sweden", "Schweden", "Suède", "Suecia"),
    ("Croatia", "Kroatien", "Croatie", "Croacia"),
    ("Belgium", "Belgien", "Belgique", "Bélgica"),
    ("Munich", "München", "Munich", "Múnich"),
    ("Cologne", "Köln", "Cologne", "Colonia"),
    ("Geneva", "Genf", "Genève", "Ginebra"),
    ("Antwerp", "Antwerpen", "Anvers", "Amberes"),
    ("London", "London", "Londres", "Londres"),
    ("Aachen", "Aachen", "Aix-la-Chapelle", "Aquisgrán"),
    ("Mainz", "Mainz", "Mayence", "Maguncia"),
    ("Basel", "Basel", "Bâle", "Basilea"),
)


def translations(random: random.Random, level: int) -> Draft:
    """Ask for numbers, dates and names in other languages, in both directions."""
    language = random.choice(tuple(_NUMBER_WORDS))
    words = _NUMBER_WORDS[language]
    kind = random.randrange(3)
    if kind == 0:
        high = (100, 1_000, 10_000, 100_000, 1_000_000)[level // 2]
        number = random.randint(high // 10 + 1, high - 1)
        if random.random() < 0.5:
            return stated("number", f"Which number is this in {language}: {words(number)}? Write it in digits.", number)
        return stated("phrase", f"Write the number {number} in {language} words.", _spellings(words(number), language))
    if kind == 1:
        language = random.choice(tuple(_MONTHS))
        day = date(random.randint(1950, 2060), random.randint(1, 12), random.randint(1, 28))
        month = _MONTHS[language][day.month - 1]
        first = (
            "1er"
            if language == "French" and day.day == 1
            else "1º"
            if language == "Italian" and day.day == 1
            else str(day.day)
        )
        form = {"German": f"{day.day}. {month} {day.year}", "Spanish": f"{day.day} de {month} de {day.year}"}.get(
            language, f"{first} {month} {day.year}"
        )
        if level < 5:
            return stated("phrase", f"Write this {language} date as YYYY-MM-DD: {form}", [f"{day:%Y-%m-%d}"])
        forms = [form, f"{day.day} {month} {day.year}"]
        return stated(
            "phrase", f"Write the date {day:%Y-%m-%d} in {language}: day in digits, name of the month, year.", forms
        )
    low = min(level, len(_PLACES) - 6)
    place = random.choice(_PLACES[low : low + 6])
    source, target = random.sample(range(4), 2) if level > 3 else (0, random.randint(1, 3))
    names = ("English", "German", "French", "Spanish")
    accepted = [place[target]] + (["die Schweiz"] if place[target] == "Schweiz" else [])
    articles = {"French": ("la", "le", "l'"), "Spanish": ("la",)}.get(names[target], ())
    accepted += [f"{article}{'' if article.endswith(chr(39)) else ' '}{place[target]}" for article in articles]
    return stated(
        "phrase",
        f"What is the {names[target]} name of the place that is called {place[source]} in {names[source]}?",
        accepted,
    )


def _spellings(words: str, language: str) -> list[str]:
    """Return a number's words, with the spellings that are usual as well."""
    if language == "German":
        return (
            [words, words.replace("einhundert", "hundert"), words.removeprefix("ein")]
            if words.startswith("ein")
            else [words]
        )
    return [words]


_TEXTS: Mapping[str, tuple[str, str, str, str]] = {
    "German": (
        "{a} Kisten wiegen zusammen {ab} Kilogramm. Wie viel wiegen {c} solche Kisten?",
        "Ein Fahrrad kostet {p} Euro. Es wird erst um {r} % billiger und danach um {r} % teurer. Wie viele Euro kostet "
        "es jetzt?",
        "Anna ist {d} Jahre älter als Karl. In {a} Jahren sind beide zusammen {s} Jahre alt. Wie alt ist Karl heute?",
        "Ein Zug fährt um {h} Uhr mit {v} km/h ab, ein zweiter eine Stunde später auf derselben Strecke mit {w} km/h. "
        "Nach wie vielen Stunden Fahrt holt der zweite den ersten ein?",
    ),
    "French": (
        "{a} caisses pèsent ensemble {ab} kilogrammes. Combien pèsent {c} caisses du même genre ?",
        "Un vélo coûte {p} euros. Son prix baisse de {r} %, puis augmente de {r} %. Combien d'euros coûte-t-il "
        "maintenant ?",
        "Anne a {d} ans de plus que Charles. Dans {a} ans, ils auront {s} ans à eux deux. Quel âge a Charles "
        "aujourd'hui ?",
        "Un train part à {h} heures à {v} km/h, un second une heure plus tard sur la même ligne à {w} km/h. Après "
        "combien d'heures de trajet le second rattrape-t-il le premier ?",
    ),
    "Spanish": (
        "{a} cajas pesan juntas {ab} kilogramos. ¿Cuánto pesan {c} cajas iguales?",
        "Una bicicleta cuesta {p} euros. Primero baja un {r} % y después sube un {r} %. ¿Cuántos euros cuesta ahora?",
        "Ana tiene {d} años más que Carlos. Dentro de {a} años tendrán {s} años entre los dos. ¿Cuántos años tiene "
        "Carlos hoy?",
        "Un tren sale a las {h} a {v} km/h y otro una hora más tarde por la misma vía a {w} km/h. ¿Después de cuántas "
        "horas de viaje alcanza el segundo al primero?",
    ),
    "Italian": (
        "{a} casse pesano insieme {ab} chilogrammi. Quanto pesano {c} casse uguali?",
        "Una bicicletta costa {p} euro. Prima il prezzo scende del {r} %, poi sale del {r} %. Quanti euro costa "
        "adesso?",
        "Anna ha {d} anni più di Carlo. Tra {a} anni avranno insieme {s} anni. Quanti anni ha Carlo oggi?",
        "Un treno parte alle {h} a {v} km/h e un altro un'ora dopo sulla stessa linea a {w} km/h. Dopo quante ore di "
        "viaggio il secondo raggiunge il primo?",
    ),
    "Portuguese": (
        "{a} caixas pesam juntas {ab} quilogramas. Quanto pesam {c} caixas iguais?",
        "Uma bicicleta custa {p} euros. Primeiro o preço desce {r} % e depois sobe {r} %. Quantos euros custa agora?",
        "A Ana tem mais {d} anos do que o Carlos. Daqui a {a} anos terão {s} anos os dois juntos. Quantos anos tem o "
        "Carlos hoje?",
        "Um comboio parte às {h} horas a {v} km/h e outro uma hora mais tarde na mesma linha a {w} km/h. Depois de "
        "quantas horas de viagem o segundo alcança o primeiro?",
    ),
    "Dutch": (
        "{a} kisten wegen samen {ab} kilogram. Hoeveel wegen {c} van zulke kisten?",
        "Een fiets kost {p} euro. De prijs daalt eerst met {r} % en stijgt daarna met {r} %. Hoeveel euro kost de "
        "fiets nu?",
        "Anna is {d} jaar ouder dan Karel. Over {a} jaar zijn ze samen {s} jaar oud. Hoe oud is Karel nu?",
        "Een trein vertrekt om {h} uur met {v} km/u en een tweede een uur later op hetzelfde spoor met {w} km/u. Na "
        "hoeveel uur rijden haalt de tweede de eerste in?",
    ),
}


def foreign_sums(random: random.Random, level: int) -> Draft:
    """Ask for a small sum in another language than English."""
    texts = _TEXTS[random.choice(tuple(_TEXTS))]
    a, each, c = random.randint(3, 9), random.randint(4, 19), random.randint(11, 25)
    r, p = random.choice((10, 20, 30)), random.randint(3, 15) * 100
    karl, d = random.randint(5, 40), random.randint(2, 15)
    v, hours = random.choice((60, 80, 90, 120)), random.choice((2, 3, 4, 5))
    if v % hours:
        return foreign_sums(random, level)
    place = min(level * 4 // 10, 3)
    blanks = {
        "a": a,
        "ab": a * each,
        "c": c,
        "r": r,
        "p": p,
        "d": d,
        "s": 2 * karl + d + 2 * a,
        "h": random.randint(6, 15),
    }
    blanks |= {"v": v, "w": v + v // hours}
    answer = (c * each, p * (100 - r * r // 100) / 100, karl, hours)[place]
    return stated("number", texts[place].format(**blanks), answer)


LANGUAGES: tuple[Make, ...] = (translations, foreign_sums)
