"""functions/sentiment: the model is the one its card describes, and answers or refuses as its handler promises."""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tests.functions.making import CHECKOUT, run_script

from servelite import InvalidInput

FOLDER = CHECKOUT / "functions" / "sentiment"
CARD = tomllib.loads((FOLDER / "card.toml").read_text())
EXAMPLES = [json.loads(line) for line in (FOLDER / "examples.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def handler() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sentiment_handler", FOLDER / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def ask(handler: ModuleType, *texts: str) -> list[Any]:
    answers: list[Any] = handler.sentiment([handler.Review(text=text) for text in texts])
    return answers


def refusal(handler: ModuleType, text: str) -> str:
    (answer,) = ask(handler, text)
    assert isinstance(answer, InvalidInput)
    return str(answer)


def test_the_model_is_the_one_the_card_records() -> None:
    model = (FOLDER / "model.onnx").read_bytes()
    assert hashlib.sha256(model).hexdigest() == CARD["model"]["sha256"]
    assert len(model) == CARD["model"]["bytes"] < 1_000_000


@pytest.mark.parametrize(("corpus", "least"), [("movie", 0.79), ("amazon", 0.77), ("tweets", 0.84)])
def test_the_measured_accuracy_clears_its_bar(corpus: str, least: float) -> None:
    assert CARD["acceptance"][corpus] == {"accuracy": least}
    assert CARD["measured"][corpus]["accuracy"] >= least


def test_the_graph_needs_no_locale() -> None:
    assert b"StringNormalizer" not in (FOLDER / "model.onnx").read_bytes()
    load = f"import onnxruntime; onnxruntime.InferenceSession({str(FOLDER / 'model.onnx')!r})"
    subprocess.run([sys.executable, "-c", load], env={**os.environ, "LC_ALL": "C", "LANG": "C"}, check=True, timeout=60)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["input"]["text"][:24])
def test_an_example_reproduces(handler: ModuleType, example: dict[str, Any]) -> None:
    (answer,) = ask(handler, example["input"]["text"])
    assert answer.model_dump() == example["output"]


@pytest.mark.parametrize("size", [2, 3, 7, 16, 64])
def test_an_answer_does_not_depend_on_its_batch_mates(handler: ModuleType, size: int) -> None:
    words = [word for example in EXAMPLES for word in example["input"]["text"].split()]
    texts = [" ".join(words[start : start + 1 + start % 17]) for start in range(64)] + ["语", "xqzzy", "good " * 2000]
    alone = [run_model(handler, [text]) for text in texts]
    batched = [row for start in range(0, len(texts), size) for row in run_model(handler, texts[start : start + size])]
    np.testing.assert_array_equal(np.concatenate(alone), batched)


def run_model(handler: ModuleType, texts: list[str]) -> Any:
    """Return what the model answers before any rounding: [[positive, known], ...]."""
    return np.column_stack(handler.model.run(["positive", "known"], {"text": np.array(texts, dtype=object)}))


def test_case_does_not_matter(handler: ModuleType) -> None:
    lower, upper = ask(handler, "what a wonderful film", "WHAT A WONDERFUL FILM")
    assert lower == upper
    assert lower.label == "positive"


@pytest.mark.parametrize("text", [" ", "\n\t ", "\u2003"])
def test_a_blank_text_is_refused(handler: ModuleType, text: str) -> None:
    assert refusal(handler, text).startswith("The text is blank. Send ")


@pytest.mark.parametrize(
    "text",
    ["这部电影很好看", "Отличный фильм", "فيلم رائع", "映画は good です、とても", "👍👍👍", "10/10", "!!!"],
    ids=["chinese", "russian", "arabic", "one English word in Japanese", "emoji", "digits", "punctuation"],
)
def test_a_text_not_mainly_in_latin_letters_is_refused(handler: ModuleType, text: str) -> None:
    assert refusal(handler, text) == (
        "The text is not mainly in Latin letters, and this model knows English only. "
        "Send English text, or put a language detector before it."
    )


def test_a_text_of_unknown_words_is_refused_by_name(handler: ModuleType) -> None:
    assert 'None of the words in "Xqzzy blorfle!" is known' in refusal(handler, "Xqzzy \n blorfle!")


def test_a_long_text_is_quoted_in_part(handler: ModuleType) -> None:
    assert f'"{"q" * 59}…"' in refusal(handler, "q" * 10_000)


def test_an_accent_or_a_foreign_name_does_not_refuse_a_text(handler: ModuleType) -> None:
    (answer,) = ask(handler, "Amélie is a wonderful film, and 王家卫 would love it.")
    assert answer.label == "positive"


def test_a_refusal_leaves_its_batch_mates_alone(handler: ModuleType) -> None:
    good, *refused, bad = ask(handler, "A wonderful film.", " ", "这部电影", "Xqzzy", "A boring film.")
    assert (good.label, bad.label) == ("positive", "negative")
    assert all(isinstance(answer, InvalidInput) for answer in refused)


@pytest.mark.training
def test_training_again_gives_the_same_bytes(tmp_path: Path) -> None:
    run_script("functions.sentiment.train", "--output", str(tmp_path / "model.onnx"))
    assert (tmp_path / "model.onnx").read_bytes() == (FOLDER / "model.onnx").read_bytes()


@pytest.mark.training
def test_scikit_learn_and_onnx_answer_alike_on_the_whole_test_split() -> None:
    """Equal labels, and probabilities within 1e-5 (`PARITY` of evaluate.py; measured: 1.4e-7)."""
    assert "0 labels differ" in run_script("functions.sentiment.evaluate", "--check-parity")


@pytest.mark.training
def test_the_card_holds_what_is_measured() -> None:
    assert "just what was measured" in run_script("functions.sentiment.evaluate", "--check-card")
