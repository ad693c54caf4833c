"""The pipelines that come along, on real models: what they answer, and that their stages fit together."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from servelite.testing import FunctionClient

FUNCTIONS = Path(__file__).parents[2] / "functions"
ARE_BUILT = all((FUNCTIONS / name / "model.onnx").exists() for name in ("ocr_detect", "ocr_recognise"))


@pytest.fixture(scope="module")
def review() -> Iterator[FunctionClient]:
    with FunctionClient(FUNCTIONS / "review_any_language") as client:
        yield client


@pytest.fixture(scope="module")
def triage() -> Iterator[FunctionClient]:
    with FunctionClient(FUNCTIONS / "triage") as client:
        yield client


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("A wonderful film, I loved every minute of it.", "positive"),
        ("The plot was dull and the acting was terrible.", "negative"),
        ("Ein wunderbarer Film, ich habe jede Minute davon genossen.", "not judged"),
        ("Un film magnifique, je l'ai adoré du début à la fin.", "not judged"),
    ],
)
def test_a_review_is_judged_if_it_is_english(review: FunctionClient, text: str, label: str) -> None:
    assert review.call({"text": text})["label"] == label


def test_a_refusal_names_the_language(review: FunctionClient) -> None:
    refused = review.call({"text": "Ein wunderbarer Film, ich habe jede Minute davon genossen."})
    assert refused["language"] == "de"
    assert "another language (de)" in refused["message"]


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("This is terrible, the worst service I ever had, I am angry and disappointed.", "answer soon"),
        ("Thank you for the quick delivery, I love the blender and it works great.", "answer"),
        ("Der Mixer ging nach zwei Tagen kaputt und niemand antwortet auf meine Mails.", "translate"),
    ],
)
def test_a_message_gets_one_verdict(triage: FunctionClient, text: str, action: str) -> None:
    assert triage.call({"text": text})["action"] == action


def test_a_message_that_one_model_can_not_read_is_judged_by_the_others(triage: FunctionClient) -> None:
    judged = triage.call({"text": "zzqx wvut"})
    assert (judged["spam"], judged["positive"]) == (None, None)


@pytest.mark.slow
@pytest.mark.skipif(not ARE_BUILT, reason="The models are missing: make them with `make models`.")
def test_a_review_on_a_picture_is_read_and_judged() -> None:
    with FunctionClient(FUNCTIONS / "read_review") as client:
        for example in client.examples:
            answer = client.call(base64.b64decode(example["input"]))
            read = json.loads(answer)
            assert len(read["text"].split()) > 2
            assert read["sentiment"]["label"] in ("positive", "negative")
