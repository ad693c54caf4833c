"""functions/sentiment_minilm: what its answers say, what it refuses, and that it is what training makes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.functions.making import CHECKOUT, run_script

from servelite import InvalidInput
from servelite.testing import FunctionClient

FOLDER = CHECKOUT / "functions" / "sentiment_minilm"
WIDTH = 384


@pytest.fixture(scope="module")
def sentiment() -> Iterator[FunctionClient]:
    with FunctionClient(FOLDER) as client:
        yield client


def along(sign: int) -> dict[str, Any]:
    """Return the embedding that is most positive (1) or negative (-1)."""
    weights = json.loads((FOLDER / "head.json").read_text())["weights"]
    length = sum(weight**2 for weight in weights) ** 0.5
    return {"embedding": [sign * weight / length for weight in weights]}


@pytest.mark.parametrize(("sign", "label"), [(1, "positive"), (-1, "negative")])
def test_an_embedding_is_labelled_by_its_direction(sentiment: FunctionClient, sign: int, label: str) -> None:
    answer = sentiment.call(along(sign))
    assert (answer["label"], answer["score"] > 0.9) == (label, True)


def test_what_embed_answers_is_what_it_takes() -> None:
    examples = (CHECKOUT / "functions" / "embed" / "examples.jsonl").read_text().splitlines()
    taken = [json.loads(line)["input"] for line in (FOLDER / "examples.jsonl").read_text().splitlines()]
    assert [json.loads(line)["output"] for line in examples] == taken


@pytest.mark.parametrize("factor", [0, 0.5, 2], ids=["nothing", "half as long", "twice as long"])
def test_a_vector_of_another_length_is_refused(sentiment: FunctionClient, factor: float) -> None:
    vector = [factor * number for number in along(1)["embedding"]]
    with pytest.raises(InvalidInput, match=r"long, not 1\. Send one as functions/embed answers it"):
        sentiment.call({"embedding": vector})


def test_a_vector_of_too_few_numbers_is_refused(sentiment: FunctionClient) -> None:
    with pytest.raises(InvalidInput, match="at least 384 items"):
        sentiment.call({"embedding": [1.0]})


def test_an_answer_does_not_depend_on_its_batch_mates(sentiment: FunctionClient) -> None:
    sentiment.check_batches([*(example["input"] for example in sentiment.examples), along(1), along(-1), {"embedding": [0.0] * WIDTH}])


@pytest.mark.lengthy
@pytest.mark.training
def test_training_again_gives_the_same_numbers(tmp_path: Path) -> None:
    """But for the last digit, which another processor may round otherwise."""
    if not (CHECKOUT / "functions" / "embed" / "model.onnx").exists():
        pytest.skip("The model of embed is missing: make it with `make models ONLY=embed`.")
    run_script("functions.sentiment_minilm.train", "--output", str(tmp_path / "head.json"), may_fail=True)
    made, kept = (json.loads((folder / "head.json").read_text()) for folder in (tmp_path, FOLDER))
    assert made["weights"] == pytest.approx(kept["weights"], abs=0.0021)
    assert made["bias"] == pytest.approx(kept["bias"], abs=0.0021)


@pytest.mark.lengthy
@pytest.mark.training
def test_the_card_holds_what_is_measured() -> None:
    if not (CHECKOUT / "functions" / "embed" / "model.onnx").exists():
        pytest.skip("The model of embed is missing: make it with `make models ONLY=embed`.")
    assert "holds what was measured" in run_script("functions.sentiment_minilm.evaluate", "--check-card")
