"""The text the sandbox's answers are cut from.

One long ring of tokens is made once, from a fixed seed, of words in several scripts; an answer is a stretch of it.
That keeps answers deterministic and costs a slice per request instead of a draw per word.
"""

import random
from functools import cache
from itertools import cycle, islice

from omnix_sandbox.tokens import tokenize

RING_SEED = 20_261_122
RING_SENTENCES = 1_200

_WORDS = """
the a of to and in model answer service river mountain evening letter window number order small quiet careful
because while between before after through measure compare describe remember deliver consider simple complete
temperature infrastructure responsibility understanding
die der und über für Größe Straße Übung ähnlich möglich schön Brücke Fluss Zürich Köln Gemüse Äpfel heißt wäre
naïve café déjà señor mañana corazón façade œuvre coração København Łódź žluťoučký кот привет мир Ελλάδα λόγος
שלום سلام नमस्ते สวัสดี
""".split()  # noqa: SIM905 - a hundred quoted words are harder to read
_CJK = (
    "東京",
    "日本語の文章",
    "你好世界",
    "人工智能",
    "山川异域",
    "안녕하세요",
    "데이터",
    "静かな夜",
    "測試",
    "一期一会",
)
_SYMBOLS = (
    "😀",
    "🚀",
    "👩‍👩‍👧‍👦",
    "👍🏽",
    "🇨🇭",
    "1️⃣",
    "🏳️‍🌈",
    "e\u0301te\u0301",
    "\u200bzero",
    "½",
    "€42",
    "3.14",
    '"quoted"',
    "back\\slash",
    "<b>&amp;</b>",
    "tab\there",
    "`code()`",
    "{json: true}",
)


def _sentence(rng: random.Random) -> str:
    def pick(choices: tuple[str, ...] | list[str]) -> str:
        # random() alone is promised to stay the same across Python versions.
        return choices[int(rng.random() * len(choices))]

    words = []
    for _ in range(6 + int(rng.random() * 10)):
        draw = rng.random()
        words.append(pick(_CJK) if draw < 0.08 else pick(_SYMBOLS) if draw < 0.16 else pick(_WORDS))
    end = "。" if rng.random() < 0.05 else ".\n\n" if rng.random() < 0.1 else "."
    return " " + " ".join(words) + end


@cache
def _ring() -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The tokens, and where among them a sentence begins."""
    rng = random.Random(RING_SEED)  # noqa: S311 - a text is made, not a secret
    tokens: list[str] = []
    starts: list[int] = []
    for _ in range(RING_SENTENCES):
        starts.append(len(tokens))
        tokens.extend(tokenize(_sentence(rng)))
    return tuple(tokens), tuple(starts)


def ring_tokens() -> tuple[str, ...]:
    return _ring()[0]


def tokens_from(seed: int, number: int) -> list[str]:
    """`number` tokens of running text; every seed opens with its own reference, so no two answers look alike."""
    tokens, starts = _ring()
    opening = tokenize(f"Note {seed % 2**32:08x}.")
    start = starts[seed // 2**32 % len(starts)]
    needed = number - len(opening)
    if needed <= 0:
        return opening[:number]
    if start + needed <= len(tokens):
        opening.extend(tokens[start : start + needed])
    else:
        opening.extend(islice(cycle(tokens), start, start + needed))
    return opening
