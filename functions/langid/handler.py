"""In which of 139 languages is a text?"""

import io
import lzma
import unicodedata
from array import array
from collections import Counter
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field

from servelite import InvalidInput, function


class Text(BaseModel):
    """A text whose language is asked for."""

    text: str = Field(min_length=1, max_length=10_000, description="a text in one language; a sentence is enough")


class Identified(BaseModel):
    """The most probable language, beside its text: so a stage that reads the text can follow."""

    text: str
    language: str = Field(description="ISO 639 code; zxx for what is no language (numbers, markup), und where nothing in the text tells")
    score: float = Field(ge=0, le=1, description="probability of the language")


class Model:
    """A naive Bayes model on byte sequences, which an automaton finds in one walk over the text."""

    def __init__(self, file: Path) -> None:
        """Read the arrays of py3langid's model.npz.xz; see card.toml for what they hold."""
        with np.load(io.BytesIO(lzma.decompress(file.read_bytes())), allow_pickle=False) as arrays:
            self._logs = arrays["ptc"]  # float16[features, classes]: log probability of a feature in a class
            self._prior = arrays["pc"]  # float32[classes]
            self._codes = arrays["classes"]  # a language in two scripts has two classes of one code
            self._next = array("I", arrays["nextmove"].astype(np.uint32).tobytes())  # state after a byte; rows of 256
            self._rows = array("I", (arrays["nextmove_row"].astype(np.uint32) << 8).tobytes())  # where a state's row begins
            self._feature = arrays["out_feat"].tolist()  # the longest feature that ends in a state; -1 for none
        self._languages, self._language_of = np.unique(self._codes, return_inverse=True)

    def identify(self, text: str) -> tuple[str, float]:
        """Return the most probable language and its probability; und and 0 where the text has no feature."""
        content = unicodedata.normalize("NFC", text.lower() if text.isupper() else text).encode()
        if not (found := self._count(content)):
            return "und", 0.0
        scores = np.log1p(np.fromiter(found.values(), np.float32)) @ self._logs[list(found)] + self._prior
        odds = np.exp((scores - scores.max()) / np.sqrt(len(content)))  # the root keeps long texts from certainty
        chances = np.bincount(self._language_of, odds / odds.sum())
        best = int(chances.argmax())
        return str(self._languages[best]), float(chances[best])

    def _count(self, content: bytes) -> Counter[int]:
        state, found = 0, []
        for byte in content:
            state = self._next[self._rows[state] + byte]
            found.append(self._feature[state])
        counts = Counter(found)
        del counts[-1]
        return counts


model = Model(Path(__file__).parent / "model.npz.xz")


@function(max_batch=16, timeout_s=2, memory_mib=512)
def langid(texts: list[Text]) -> list[Identified | InvalidInput]:
    """Tell the language of each text."""
    return [identify(one.text) for one in texts]


def identify(text: str) -> Identified | InvalidInput:
    """Make one answer; a blank text is in no language."""
    if not text.strip():
        return InvalidInput("The text is blank. Send at least one word.")
    language, chance = model.identify(text)
    return Identified(text=text, language=language, score=round(chance, 4))
