"""functions/langid: what its answers say, and what it refuses."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.functions.making import CHECKOUT, run_script

from servelite import InvalidInput
from servelite.testing import FunctionClient

LIMIT = 10_000


@pytest.fixture(scope="module")
def langid() -> Iterator[FunctionClient]:
    with FunctionClient(CHECKOUT / "functions" / "langid") as client:
        yield client


def identify(langid: FunctionClient, text: str) -> dict[str, Any]:
    answer: dict[str, Any] = langid.call({"text": text})
    return answer


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Everyone has the right to an education.", "en"),
        ("Jeder hat das Recht auf Bildung.", "de"),
        ("Svatko ima pravo na obrazovanje.", "hr"),
        ("Сви имају право на образовање.", "sr"),
        ("Ovde je uvek lepo vreme, a deca vole mleko i belu reku.", "sr"),
        ("모든 사람은 교육을 받을 권리를 가진다.", "ko"),
        ("ทุกคนมีสิทธิในการศึกษา", "th"),
        ("+49 30 1234567, 12:30", "zxx"),
    ],
    ids=["English", "German", "Croatian", "Serbian in Cyrillic", "Serbian in Latin", "Korean", "Thai", "no language"],
)
def test_a_text_is_answered_with_its_language(langid: FunctionClient, text: str, language: str) -> None:
    assert identify(langid, text)["language"] == language


def test_the_text_itself_is_handed_on(langid: FunctionClient) -> None:
    text = " Two words,\nand more. "
    assert identify(langid, text)["text"] == text


def test_a_text_of_which_nothing_is_known_is_undetermined(langid: FunctionClient) -> None:
    assert identify(langid, "ok") == {"text": "ok", "language": "und", "score": 0.0}


def test_capitals_and_composed_accents_do_not_matter(langid: FunctionClient) -> None:
    plain = identify(langid, "une très bonne idée")
    assert (plain["language"], plain["score"]) == tuple(identify(langid, "UNE TRÈS BONNE IDÉE")[key] for key in ("language", "score"))
    decomposed = identify(langid, "une tre\u0300s bonne ide\u0301e")
    assert (decomposed["language"], decomposed["score"]) == (plain["language"], plain["score"])


@pytest.mark.parametrize("text", [" ", "\n\t", "\u2003"], ids=["a space", "a line", "a wide space"])
def test_a_blank_text_is_refused(langid: FunctionClient, text: str) -> None:
    with pytest.raises(InvalidInput, match="The text is blank"):
        identify(langid, text)


def test_the_longest_text_is_answered_and_a_longer_one_refused(langid: FunctionClient) -> None:
    assert identify(langid, ("Everyone has duties. " * LIMIT)[:LIMIT])["language"] == "en"
    with pytest.raises(InvalidInput, match=f"at most {LIMIT} characters"):
        identify(langid, "a" * (LIMIT + 1))


@pytest.mark.training
def test_the_card_holds_what_is_measured() -> None:
    assert "holds what was measured" in run_script("functions.langid.evaluate", "--check-card")
