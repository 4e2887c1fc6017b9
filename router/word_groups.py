"""Groups of words with which a request says what kind of answer it wants: "only", "essay", "translate", 翻译.

Each group has the words of several languages. A word counts once, however often it occurs.
"""

from collections.abc import Mapping
from typing import Final

_WORDS: Final = {
    "only": "only just exactly nothing nur bloß ausschließlich uniquement seulement solo sólo solamente únicamente "
    "soltanto apenas somente tylko sadece yalnızca только лишь केवल सिर्फ فقط alleen",
    "data_format": "json yaml csv xml toml html table tabelle tableau tabla tabela tabella schema",
    "long_form": "essay detailed detail comprehensive depth thorough thoroughly full complete report article guide "
    "tutorial whitepaper ausführlich ausführliche detailliert vollständig vollständige bericht artikel aufsatz "
    "détaillé détaillée complet complète exhaustif rapport detallado detallada completo completa informe artículo "
    "ensayo detalhado artigo ensaio relatório dettagliato articolo saggio szczegółowo artykuł esej ayrıntılı makale "
    "подробно подробный статью эссе доклад विस्तार निबंध लेख مقالاً مقال تقرير",
    "story": "story chapter scene script monologue dialogue tale novel geschichte märchen szene kapitel histoire conte "
    "nouvelle scène cuento historia relato conto história storia racconto opowiadanie bajka hikaye masal рассказ "
    "сказку कहानी قصة",
    "short_form": "short brief briefly concise concisely tldr quick shortest kurz kurze kurzer kurzen knapp bref brève "
    "court courte brièvement breve brevemente corto corta curto curta krótko krótki krótka kısa kısaca коротко кратко "
    "короткий संक्षेप छोटा مختصر قصير",
    "tiny_form": "name title headline slogan tagline caption haiku emoji hashtag motto pun command regex synonym",
    "code": "function implement class code program component endpoint server cli api funktion programm fonction "
    "función função funzione funkcję fonksiyon функцию программу",
    "whole_system": "system app application game engine compiler parser library framework project simulator dashboard "
    "website",
    "tests": "test tests pytest unittest coverage",
    "design": "design architecture plan roadmap spec specification strategy proposal concept konzept stratégie plano "
    "estrategia план",
    "listing": "list steps ideas examples bullet bullets liste lista elenco список सूची قائمة",
    "explain": "explain why how compare difference versus erklär erkläre erklären warum wieso wie vergleiche "
    "unterschied expliquer explique pourquoi comment explica explícame cómo porquê spiega perché come wyjaśnij "
    "dlaczego jak açıkla neden nasıl объясни объясните почему как समझाओ समझाइए क्यों कैसे اشرح لماذا كيف",
    "prove": "prove proof show theorem derive lemma formal verify verified tla coq lean beweise beweis démontre "
    "démontrer demuestra dimostra udowodnij докажи докажите",
    "translate": "translate translation übersetze übersetzen traduis traduire traduisez traduce traducir traduza "
    "traduz traduzir traduci przetłumacz çevir переведи переведите अनुवाद ترجم",
    "rewrite": "rewrite proofread correct fix rephrase paraphrase polish shorten sound korrigiere verbessere corrige "
    "corriger reformule corrija reescreva reescribe popraw düzelt исправь",
    "summarise": "summarise summarize summary zusammenfassen zusammenfassung fasse résume résumé résumer resume "
    "resumen resumir resuma resumo riassumi riassunto streść podsumuj özetle резюме सारांश لخص",
    "extract": "extract classify label sentiment category classification pick choose extrahiere klassifiziere extrais "
    "extraer extraia estrai",
    "question": "what which who when where whose wer wann wo was welche welcher welches qui quand où quel quelle quels "
    "quién cuándo dónde cuál qué cuántos cuántas quem quando onde qual quantos chi dove quale quanti kto kiedy gdzie "
    "jaki jaka który ile kim ne nerede kaç hangi кто что когда где какой какая сколько कौन कब कहाँ कितने क्या من متى "
    "أين كم ما",
    "please": "please thanks bitte danke merci por favor grazie obrigado proszę lütfen пожалуйста",
    "you": "you your du dein tu tú",
    "me": "i my me we our ich wir mein meine je mon ma yo mi eu meu io mój ben я мой मैं मेरे",
    "letter": "email mail letter reply message post brief nachricht lettre carta correo lettera письмо",
    "each": "each per every je jeweils jede jeder jedes chaque chacun chacune cada ciascuno ogni każdy każda każdego "
    "her каждый каждого каждой प्रत्येक हर لكل",
    "faults": "review refactor debug bug error fails crash wrong broken",
}

_CJK_WORDS: Final = {
    "only": "只 仅 だけ のみ 만",
    "long_form": "详细 文章 论文 报告 詳しく 詳細 記事 レポート 자세히 보고서 에세이",
    "story": "故事 小说 物語 小説 이야기 소설",
    "short_form": "简短 简要 一句话 短く 簡潔 一言 간단 짧게 한마디",
    "code": "函数 代码 程序 関数 コード 함수 코드",
    "design": "设计 计划 方案 設計 計画 설계 계획",
    "listing": "列出 列表 リスト 挙げて 목록",
    "explain": "解释 为什么 怎么 如何 说明 区别 説明 なぜ 違い どう 설명 왜 어떻게 차이",
    "prove": "证明 証明 증명",
    "translate": "翻译 译成 翻訳 訳して 번역",
    "rewrite": "改写 润色 修改 修正 書き直 添削 고쳐 다듬",
    "summarise": "总结 摘要 概括 要約 まとめ 요약",
    "extract": "提取 分类 抽出 分類 추출 분류",
    "question": "什么 哪 谁 几 多少 何 誰 いつ どこ どの 누구 언제 어디 무엇 뭐",
    "please": "请 ください お願い 주세요",
    "each": "每 各 それぞれ ずつ 각",
}
"""Group -> its words in languages without blanks between words; they are looked for anywhere in the text."""

GROUP_NAMES: Final = tuple(_WORDS)


def _groups_of_words() -> dict[bytes, tuple[int, ...]]:
    """Return each word's groups, as places in `GROUP_NAMES`."""
    groups: dict[bytes, tuple[int, ...]] = {}
    for place, words in enumerate(_WORDS.values()):
        for word in words.split():
            groups[word.encode()] = (*groups.get(word.encode(), ()), place)
    return groups


GROUPS_OF_WORD: Final[Mapping[bytes, tuple[int, ...]]] = _groups_of_words()
"""Word, lower case, UTF-8 -> places of its groups in `GROUP_NAMES`."""
GROUP_OF_CJK_WORD: Final[Mapping[str, int]] = {
    word: GROUP_NAMES.index(group) for group, words in _CJK_WORDS.items() for word in words.split()
}
"""Chinese, Japanese or Korean word -> place of its group in `GROUP_NAMES`."""
