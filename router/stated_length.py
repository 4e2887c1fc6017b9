"""How long an answer a request asks for: "about 1,500 words", "in einem Satz", "800字", "ten ideas".

The numbers of tokens are those of common tokenizers on ordinary prose, rounded. They need not be exact, because the
quality model learns what a stated length says about the length of an answer.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

MAX_TOKENS: Final = 20_000.0
"""Longest length that is believed, in tokens; more counts as this."""
MAX_ITEMS: Final = 100.0
"""Largest number of items that is believed; a larger number is ignored."""


class _Unit(NamedTuple):
    """A unit of length.

    Args:
        tokens: Number of tokens in one unit.
        names: Its forms, in lower case, separated by blanks.
    """

    tokens: float
    names: str


_UNITS: Final = (
    _Unit(0.27, "character characters char chars zeichen caractère caractères caracteres caratteri znaków karakter"),
    _Unit(
        1.35,
        "word words wort worte worten wörter wörtern mot mots palabra palabras palavra palavras parola parole woord "
        "woorden słowo słowa słów słowem słowach kelime kelimelik kelimeyle слово слова слов словом словами शब्द "
        "शब्दों كلمة كلمات",
    ),
    _Unit(2, "number zahl nombre número numero liczba число sayı"),
    _Unit(
        14,
        "line lines liner zeile zeilen ligne lignes línea líneas linha linhas riga righe linijka linijki linijek satır "
        "satırlık satırda строка строки строк строках पंक्ति पंक्तियाँ पंक्तियों سطر أسطر",
    ),
    _Unit(
        24,
        "sentence sentences satz sätze sätzen phrase phrases frase frases frasi oración oraciones zin zinnen zdanie "
        "zdania zdań zdaniu zdaniach cümle cümleyle cümlede cümlelik предложение предложения предложений предложении "
        "предложениях वाक्य वाक्यों جملة جمل",
    ),
    _Unit(40, "stanza stanzas strophe strophen strofy strof estrofas strofe"),
    _Unit(
        95,
        "paragraph paragraphs absatz absätze absätzen paragraphe paragraphes párrafo párrafos parágrafo parágrafos "
        "paragrafo paragrafi alinea akapit akapity akapitów akapitach paragraf абзац абзаца абзацев абзацах अनुच्छेद "
        "فقرة فقرات",
    ),
    _Unit(
        650,
        "page pages seite seiten página páginas pagina pagine strona strony stron stronę sayfa sayfalık страница "
        "страницы страниц страницу पृष्ठ पन्ने صفحة صفحات",
    ),
)

_ITEM_NAMES: Final = (
    "bullet bullets points items ideas tips steps reasons options suggestions questions facts names titles headlines "
    "slogans taglines hashtags synonyms examples exercises variants versions alternatives chapters scenes sections "
    "recipes stichpunkte stichpunkten punkte punkten ideen tipps gründe vorschläge fragen schritte schritten beispiele "
    "namen titel aufgaben varianten kapitel idées conseils raisons étapes exemples noms titres chapitres puntos "
    "razones consejos pasos preguntas ejemplos nombres capítulos punti idee consigli motivi domande esempi nomi titoli "
    "capitoli pontos ideias dicas razões perguntas exemplos nomes punktów pomysłów pomysły powodów kroków pytań "
    "przykłady fikir madde adım soru örnek isim идей идеи пунктов пункта вопросов советов причин примеров सुझाव कारण "
    "सवाल नाम نقاط أفكار أسئلة"
)

_NUMBER_WORDS: Final = {
    0.5: "half halbe halben halber demi media medio metade mezza mezzo pół yarım половина половину आधा نصف",
    1: "one single an ein eine einen einem einer un une una uno um uma jedno jednym jednej jedną jednego bir один одно "
    "одна одном одной одним एक واحدة واحد een",
    2: "two couple zwei deux dos due dois duas dwa dwie dwóch iki два две двух दो twee",
    3: "three few drei trois tres tre três trzy trzech üç три трёх трех तीन ثلاث ثلاثة drie",
    4: "four vier quatre cuatro quattro quatro cztery czterech dört четыре четырёх चार أربع أربعة",
    5: "five several fünf cinq cinco cinque pięć pięciu beş пять пяти पाँच पांच خمس خمسة vijf",
    6: "six sechs seis sei sześć altı шесть छह ست ستة zes",
    7: "seven sieben sept siete sette sete siedem yedi семь सात سبع سبعة zeven",
    8: "eight acht huit ocho otto oito osiem sekiz восемь आठ ثمانية",
    9: "nine neun neuf nueve nove dziewięć dokuz девять नौ تسعة negen",
    10: "ten zehn dix diez dieci dez dziesięć on десять दस عشر عشرة tien",
    12: "twelve dozen zwölf douze doce dodici doze dwanaście двенадцать बारह twaalf",
    15: "fifteen fünfzehn quinze quince quindici piętnaście пятнадцать vijftien",
    20: "twenty zwanzig vingt veinte venti vinte dwadzieścia yirmi двадцать बीस twintig",
    30: "thirty dreißig trente treinta trenta trinta trzydzieści тридцать dertig",
    40: "forty vierzig quarante cuarenta quaranta quarenta",
    50: "fifty fünfzig cinquante cincuenta cinquanta cinquenta pięćdziesiąt elli пятьдесят vijftig",
    100: "hundred hundert cent cien cento cem sto yüz сто सौ honderd",
    200: "zweihundert doscientas doscientos duecento duzentas dwieście двести",
    300: "dreihundert trescientas trescientos trecento trezentas trzysta триста",
    500: "fünfhundert quinientas quinientos cinquecento quinhentas pięćset пятьсот",
    1000: "thousand tausend mille mil tysiąc bin тысяча тысячу",
}

_CJK_UNITS: Final = {
    **dict.fromkeys(("字段", "文章", "文件", "자리", "자녀", "행사"), 0.0),
    "글자": 1.0,
    "자": 1.0,
    **dict.fromkeys(("字符", "字", "文字"), 1.3),
    **dict.fromkeys(("词语", "词", "単語", "단어"), 1.5),
    **dict.fromkeys(("行", "줄"), 14.0),
    **dict.fromkeys(("句话", "句", "文", "문장"), 22.0),
    **dict.fromkeys(("段落", "段", "문단"), 90.0),
    **dict.fromkeys(("页", "頁", "ページ", "페이지", "쪽"), 650.0),
}
"""Unit of a language without blanks between words -> its tokens. 0: a word that only begins like a unit."""

_CJK_DIGITS: Final = {
    **{digit: value for value, digit in enumerate("〇一二三四五六七八九")},
    **{digit: value for value, digit in enumerate("0123456789")},
    **{digit: value for value, digit in enumerate("０１２３４５６７８９")},
    **{"两": 2, "兩": 2, "한": 1, "두": 2, "세": 3, "네": 4},
}
_CJK_POWERS: Final = {"十": 10, "百": 100, "千": 1_000, "万": 10_000, "십": 10, "백": 100, "천": 1_000}
_MOST_CJK_FIGURES: Final = 9
_CJK_NUMBERS: Final = {"다섯": 5, "여섯": 6, "일곱": 7, "여덟": 8, "아홉": 9, "열": 10}

UNIT_TOKENS: Final[Mapping[bytes, float]] = {
    name.encode(): unit.tokens for unit in _UNITS for name in unit.names.split()
}
"""Name of a unit of length, lower case, UTF-8 -> tokens of one unit."""
ITEM_NAMES: Final = frozenset(name.encode() for name in _ITEM_NAMES.split())
"""Names of what lists consist of, lower case, UTF-8."""

_VALUES: Final = {word.encode(): float(value) for value, words in _NUMBER_WORDS.items() for word in words.split()}
_DIGITS: Final = b"0123456789"
_LEAST_UNIT_OF_ARTICLE: Final = 24
"""Tokens of the smallest unit before which "a" is a number: "in a sentence" states a length, "is there a word" none."""
_MOST_DIGITS: Final = 6
"""Digits of the longest number that is read; a longer one is no number of words."""
_GROUP_DIGITS: Final = 3
"""Digits between two separators of thousands, and at most those before the first."""
_THOUSANDS_SEPARATORS: Final = (b",", b".", b" ", b"'")
_REACH: Final = 2
"""How many words before its unit a number may stand: "three short paragraphs"."""


def _any_of(words: Collection[str]) -> str:
    """Return a regular expression for one of the words, the longest first."""
    return "|".join(sorted(words, key=len, reverse=True))


_CJK_FIGURES: Final = f"[{''.join((*_CJK_DIGITS, *_CJK_POWERS))},]"
_CJK_NUMBER: Final = f"({_CJK_FIGURES}(?<!{_CJK_FIGURES}.){_CJK_FIGURES}*+|{_any_of(_CJK_NUMBERS)})"
# A number is read once, from its start, and not given back. So the time is linear in the text, whatever it is.
_CJK_LENGTH: Final = re.compile(rf"{_CJK_NUMBER}[ -]?[个個]?({_any_of(_CJK_UNITS)})")
_CJK_ITEMS: Final = re.compile(rf"{_CJK_NUMBER} ?(?:[个個つ条]|가지|개)")
_LEAST_CJK_ITEMS: Final = 3
"""Smaller numbers are articles: 一个."""


def stated_tokens(words: Sequence[bytes], unit: bytes, raw: bytes) -> float:
    """Return the longest length that the words state in a unit, in tokens, 0..`MAX_TOKENS`. 0: they state none.

    Args:
        words: Words in order, as `router.request_words.split_words` returns them.
        unit: One of `UNIT_TOKENS` that is among the words.
        raw: Text from which the words were split.
    """
    tokens = UNIT_TOKENS[unit]
    longest, place = 0.0, -1
    for _ in range(words.count(unit)):
        place = words.index(unit, place + 1)
        number = _number_before(words, place, raw, tokens >= _LEAST_UNIT_OF_ARTICLE)
        if number:
            longest = max(longest, tokens * number)
    return min(longest, MAX_TOKENS)


def stated_items(words: Sequence[bytes], item: bytes, raw: bytes) -> float:
    """Return the largest number of an item that the words ask for, 0..`MAX_ITEMS`. 0: they ask for none.

    Args:
        words: Words in order, as `router.request_words.split_words` returns them.
        item: One of `ITEM_NAMES` that is among the words.
        raw: Text from which the words were split.
    """
    largest, place = 0.0, -1
    for _ in range(words.count(item)):
        place = words.index(item, place + 1)
        number = _number_before(words, place, raw, may_be_article=False)
        if largest < number <= MAX_ITEMS:
            largest = number
    return largest


def stated_cjk_tokens(part: str) -> float:
    """Return the longest length that a Chinese, Japanese or Korean text states, as `stated_tokens` does."""
    lengths = (_CJK_UNITS[unit] * _cjk_value(number) for number, unit in _CJK_LENGTH.findall(part))
    return min(max(lengths, default=0.0), MAX_TOKENS)


def stated_cjk_items(part: str) -> float:
    """Return the largest number of items that a Chinese, Japanese or Korean text asks for, as `stated_items` does."""
    numbers = map(_cjk_value, _CJK_ITEMS.findall(part))
    return max((number for number in numbers if _LEAST_CJK_ITEMS <= number <= MAX_ITEMS), default=0.0)


def _number_before(words: Sequence[bytes], place: int, raw: bytes, may_be_article: bool) -> float:
    """Return the number that stands closest before the unit at this place, or 0.

    Of a range this is the upper number: "300-400 words", "two to three sentences".
    """
    article = 0.0
    for before in range(place - 1, max(place - 1 - _REACH, -1), -1):
        word = words[before]
        if word[0] in _DIGITS:
            return _value(word, words[before - 1] if before else b"", raw)
        if word in _VALUES:
            return _VALUES[word]
        if word == b"a" and may_be_article and before == place - 1:
            article = 1.0
    return article


def _value(word: bytes, previous: bytes, raw: bytes) -> float:
    """Return the value of a number, or 0 if the word is none. It may be the end of "1,500", "1 500" or "1.5", or "2k".

    Args:
        word: The word, which begins with a digit.
        previous: The word before it.
        raw: Text from which the words were split.
    """
    digits, factor = (word[:-1], 1_000.0) if word.endswith(b"k") else (word, 1.0)
    if not digits.isdigit() or len(digits) > _MOST_DIGITS:
        return 0.0
    if previous.isdigit() and len(previous) <= _GROUP_DIGITS:
        if len(digits) == _GROUP_DIGITS:
            if any(previous + separator + digits in raw for separator in _THOUSANDS_SEPARATORS):
                digits = previous + digits
        elif previous + b"." + word in raw or previous + b"," + word in raw:
            return float(previous + b"." + digits) * factor
    return int(digits) * factor


def _cjk_value(number: str) -> float:
    """Return the value of a number such as 800, 1,500, 三 or 八百."""
    if number in _CJK_NUMBERS:
        return float(_CJK_NUMBERS[number])
    if len(number) > _MOST_CJK_FIGURES:
        return 0.0
    total, digits = 0, 0
    for character in number:
        if character in _CJK_POWERS:
            total += max(digits, 1) * _CJK_POWERS[character]
            digits = 0
        elif character != ",":
            digits = 10 * digits + _CJK_DIGITS[character]
    return float(total + digits)
