"""Which texts are held out of training, by their hash, and which others are too like them to be learnt from."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar


class Keyed(Protocol):
    """A text with its normalised form, by which it is deduplicated and split."""

    @property
    def key(self) -> str: ...


Text = TypeVar("Text", bound=Keyed)


def normalise(text: str) -> str:
    """Lower-case, and make every run of anything but a-z and 0-9 one space."""
    return re.sub("[^a-z0-9]+", " ", text.lower()).strip()


def is_test(key: str) -> bool:
    """Tell whether a normalised text is held out: one in five, by its hash."""
    return hash_part(key, 0) % 5 == 0


def hash_part(key: str, index: int) -> int:
    """Return the index-th 32 bits of the text's SHA-256; each part splits independently of the others."""
    return int(hashlib.sha256(key.encode()).hexdigest()[8 * index : 8 * index + 8], 16)


def first_of_each_key(texts: Iterable[Text]) -> Iterator[Text]:
    """Drop repetitions (the first one stays) and texts without a word."""
    seen = {""}
    for text in texts:
        if text.key not in seen:
            seen.add(text.key)
            yield text


def without_leaks(train: Iterable[Text], test: Iterable[Text]) -> Iterator[Text]:
    """Drop training texts that share most of their wording with a test text.

    Most: half of the three-word runs of the shorter of the two, and no fewer than three runs.
    """
    tests = [three_word_runs(text.key) for text in test]
    tests_with = defaultdict(list)
    for index, runs in enumerate(tests):
        for run in runs:
            tests_with[run].append(index)
    for text in train:
        own = three_word_runs(text.key)
        shared = Counter(index for run in own for index in tests_with.get(run, ()))
        if not any(count >= max(3, min(len(own), len(tests[index])) / 2) for index, count in shared.items()):
            yield text


def three_word_runs(key: str) -> set[str]:
    """Return each three neighbouring words of a normalised text."""
    words = key.split(" ")
    return {" ".join(words[start : start + 3]) for start in range(len(words) - 2)}
