"""BERT's uncased tokenizer: text to the ids of words and their parts, as the model was trained with.

Text is cleaned, lower-cased and freed of accents; words end at spaces, and every punctuation mark and Chinese character is a word. A
word is cut into the longest parts that the vocabulary has, from the left; a word that can't be cut is [UNK]. The vocabulary has a part a
line, and its id is the line's number; parts within words begin with ##. What a text says of [CLS] or [PAD] is text like any other.
"""

import unicodedata
from functools import lru_cache
from pathlib import Path

LONGEST_WORD = 100
"""Characters; a longer word is [UNK]."""

CHINESE = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F)),
    *((0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)
ASCII_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


class Tokenizer:
    """Cuts texts into the parts of a vocabulary."""

    def __init__(self, vocabulary: Path) -> None:
        """Read the vocabulary's file."""
        lines = vocabulary.read_text(encoding="utf-8").split("\n")
        self._ids = {part: number for number, part in enumerate(lines) if part}
        self._unknown, self._first, self._last = (self._ids[special] for special in ("[UNK]", "[CLS]", "[SEP]"))
        self._cut = lru_cache(maxsize=50_000)(self._cut_word)

    def encode(self, text: str, most: int) -> list[int]:
        """Return the ids of a text between [CLS] and [SEP], `most` in all; what is beyond is left out."""
        ids = [number for word in split_words(text) for number in self._cut(word)]
        return [self._first, *ids[: most - 2], self._last]

    def _cut_word(self, word: str) -> tuple[int, ...]:
        if len(word) > LONGEST_WORD:
            return (self._unknown,)
        found, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if f"{prefix}{word[start:end]}" in self._ids), None)
            if end is None:
                return (self._unknown,)
            found.append(self._ids[f"{prefix}{word[start:end]}"])
            start = end
        return tuple(found)


def split_words(text: str) -> list[str]:
    """Return the words of a text, as the vocabulary spells them."""
    spaced = "".join(map(_space, text))
    plain = (one.lower() for one in unicodedata.normalize("NFD", spaced) if unicodedata.category(one) != "Mn")
    return "".join(f" {one} " if _is_punctuation(one) else one for one in plain).split()


@lru_cache(maxsize=10_000)
def _space(one: str) -> str:
    """Drop control characters, make white space one kind, and let Chinese characters stand alone."""
    if one in "\t\n\r" or unicodedata.category(one) == "Zs":
        return " "
    if one in "\0\ufffd" or unicodedata.category(one) in ("Cc", "Cf", "Co", "Cn"):
        return ""
    return f" {one} " if any(first <= ord(one) <= last for first, last in CHINESE) else one


@lru_cache(maxsize=10_000)
def _is_punctuation(one: str) -> bool:
    return one in ASCII_PUNCTUATION or unicodedata.category(one).startswith("P")
