"""functions/embed: its tokenizer, and, where its model is built, what its answers say."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.functions.making import CHECKOUT, run_script

from functions.embed.wordpiece import Tokenizer, split_words
from servelite import InvalidInput
from servelite.testing import FunctionClient

FOLDER = CHECKOUT / "functions" / "embed"
PARTS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##afford", "##able", "wo", "##rd", "words", "good", ",", "\u4f60", "[", "]", "pad"]
UNKNOWN, FIRST, LAST = 1, 2, 3


@pytest.fixture
def tokenizer(tmp_path: Path) -> Tokenizer:
    (tmp_path / "vocab.txt").write_text("\n".join(PARTS) + "\n", encoding="utf-8")
    return Tokenizer(tmp_path / "vocab.txt")


def parts(tokenizer: Tokenizer, text: str, most: int = 256) -> list[str]:
    return [PARTS[number] for number in tokenizer.encode(text, most)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's GOOD, naïve café!", ["it", "'", "s", "good", ",", "naive", "cafe", "!"]),
        ("a\tb\u00a0c\u3000d\ne", ["a", "b", "c", "d", "e"]),
        ("a\u200bb\x00c\ufffd d", ["abc", "d"]),
        ("x\u4f60\u597dy", ["x", "\u4f60", "\u597d", "y"]),
        ("ΟΔΥΣΣΕΥΣ", ["οδυσσευσ"]),
        ("\u0130stanbul", ["istanbul"]),
        ("\u00bfqu\u00e9? \u2014 \u00abs\u00ed\u00bb", ["\u00bf", "que", "?", "\u2014", "\u00ab", "si", "\u00bb"]),
        (" \n ", []),
    ],
    ids=["case and accents", "white space", "control characters", "Chinese", "final sigma", "dotted capital i", "punctuation", "nothing"],
)
def test_a_text_is_split_as_the_vocabulary_spells_it(text: str, words: list[str]) -> None:
    assert split_words(text) == words


def test_a_word_is_cut_into_the_longest_parts_from_the_left(tokenizer: Tokenizer) -> None:
    assert parts(tokenizer, "Unaffordable words") == ["[CLS]", "un", "##afford", "##able", "words", "[SEP]"]


def test_a_word_that_can_not_be_cut_whole_is_unknown(tokenizer: Tokenizer) -> None:
    assert parts(tokenizer, "unword good") == ["[CLS]", "[UNK]", "good", "[SEP]"]


def test_a_word_of_more_than_a_hundred_letters_is_unknown(tokenizer: Tokenizer) -> None:
    assert parts(tokenizer, "un" + "able" * 25) == ["[CLS]", "[UNK]", "[SEP]"]
    assert parts(tokenizer, "un" + "able" * 24)[1:3] == ["un", "##able"]


def test_a_long_text_ends_where_there_is_no_more_room(tokenizer: Tokenizer) -> None:
    assert parts(tokenizer, "good " * 300, 8) == ["[CLS]", *["good"] * 6, "[SEP]"]


def test_a_text_can_not_speak_as_the_tokenizer_does(tokenizer: Tokenizer) -> None:
    assert parts(tokenizer, "[PAD]") == ["[CLS]", "[", "pad", "]", "[SEP]"]


@pytest.fixture(scope="module")
def embed() -> Iterator[FunctionClient]:
    if not (FOLDER / "model.onnx").exists():
        pytest.skip("The model is missing: make it with `make models ONLY=embed`.")
    with FunctionClient(FOLDER) as client:
        yield client


def likeness(embed: FunctionClient, one: str, other: str) -> float:
    first, second = (embed.call({"text": text})["embedding"] for text in (one, other))
    return float(sum(a * b for a, b in zip(first, second, strict=True)))


def test_an_embedding_is_of_length_one(embed: FunctionClient) -> None:
    assert likeness(embed, "good", "good") == pytest.approx(1, abs=1e-5)


def test_texts_that_mean_the_like_are_near_each_other(embed: FunctionClient) -> None:
    """The numbers are those that the model's authors show for these sentences."""
    assert likeness(embed, "That is a happy person", "That is a very happy person") == pytest.approx(0.943, abs=1e-3)
    assert likeness(embed, "That is a happy person", "That is a happy dog") == pytest.approx(0.695, abs=1e-3)
    assert likeness(embed, "That is a happy person", "Today is a sunny day") == pytest.approx(0.257, abs=1e-3)


def test_what_is_beyond_256_words_is_not_read(embed: FunctionClient) -> None:
    assert likeness(embed, "good " * 254, "good " * 254 + "bad") == pytest.approx(1, abs=1e-5)
    assert likeness(embed, "good " * 253, "good " * 253 + "bad") < 0.9999


@pytest.mark.parametrize("text", [" ", "\u200b", "\n\t"], ids=["a space", "a space of no width", "a line"])
def test_a_text_without_a_word_is_refused(embed: FunctionClient, text: str) -> None:
    with pytest.raises(InvalidInput, match="The text has no word in it"):
        embed.call({"text": text})


@pytest.mark.slow
def test_an_answer_does_not_depend_on_its_batch_mates(embed: FunctionClient) -> None:
    words = [word for example in embed.examples for word in example["input"]["text"].split()]
    texts = [*(" ".join(words[: 1 + number * 8]) for number in range(5)), " ", "long " * 120]
    embed.check_batches([{"text": text} for text in texts], tolerance=1e-4)


@pytest.mark.training
def test_the_card_holds_what_is_measured() -> None:
    """The answers beside a reference in 64 bits, and the tokens beside those of the package tokenizers."""
    if not (FOLDER / "model.onnx").exists():
        pytest.skip("The model is missing: make it with `make models ONLY=embed`.")
    assert "holds what was measured" in run_script("functions.embed.evaluate", "--check-card")
