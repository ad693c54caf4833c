"""functions/spam: what its answers say, what it refuses, and that it is what training makes."""

from collections.abc import Iterator
from email import message_from_string
from pathlib import Path

import pytest
from tests.functions.making import CHECKOUT, run_script

from functions.spam.mails import visible_text
from servelite import InvalidInput
from servelite.testing import FunctionClient

FOLDER = CHECKOUT / "functions" / "spam"


@pytest.fixture(scope="module")
def spam() -> Iterator[FunctionClient]:
    with FunctionClient(FOLDER) as client:
        yield client


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Click here to order now, 100% free, satisfaction guaranteed!", "spam"),
        ("You can earn thousands of dollars a week from home, no experience required", "spam"),
        ("I wrote a patch for that bug, see the list archive for the thread", "ham"),
    ],
)
def test_a_mail_is_labelled(spam: FunctionClient, text: str, label: str) -> None:
    answer = spam.call({"text": text})
    assert (answer["label"], answer["score"] >= 0.5) == (label, True)


def test_case_does_not_matter(spam: FunctionClient) -> None:
    assert spam.call({"text": "CLICK HERE FOR FREE MONEY"}) == spam.call({"text": "click here for free money"})


@pytest.mark.parametrize("text", [" ", "xqzzy blorfle", "语言", "!!!"], ids=["blank", "no such words", "another script", "signs"])
def test_a_text_without_a_known_word_is_refused(spam: FunctionClient, text: str) -> None:
    with pytest.raises(InvalidInput, match="No word of the text is known to this model"):
        spam.call({"text": text})


def test_an_answer_does_not_depend_on_its_batch_mates(spam: FunctionClient) -> None:
    words = [word for example in spam.examples for word in example["input"]["text"].split()]
    texts = [" ".join(words[start : start + 1 + start % 17]) for start in range(30)] + [" ", "free " * 2000]
    spam.check_batches([{"text": text} for text in texts], tolerance=0)


def test_the_graph_needs_no_locale() -> None:
    assert b"StringNormalizer" not in (FOLDER / "model.onnx").read_bytes()


def test_of_a_mail_counts_what_its_reader_sees() -> None:
    mail = message_from_string(
        "Received: from nowhere\nSubject: =?utf-8?b?Q2Fmw6k=?= offers\nContent-Type: text/html; charset=utf-8\n\n"
        "<style>p {}</style><p>Buy &amp; <b>save</b><!-- not seen -->\n____________________________\nlist@lists.example\nunsubscribe\n"
    )
    assert visible_text(mail).split() == ["Café", "offers", "Buy", "&", "save"]


def test_a_subject_or_a_character_set_that_nobody_can_read_is_taken_as_it_is() -> None:
    mail = message_from_string("Subject: =?no-such-set?q?x?=\nContent-Type: text/plain; charset=no-such-set\n\nhello\n")
    assert visible_text(mail).split() == ["=?no-such-set?q?x?=", "hello"]


@pytest.mark.training
def test_training_again_gives_the_same_bytes(tmp_path: Path) -> None:
    run_script("functions.spam.train", "--output", str(tmp_path / "model.onnx"))
    assert (tmp_path / "model.onnx").read_bytes() == (FOLDER / "model.onnx").read_bytes()


@pytest.mark.training
def test_scikit_learn_and_onnx_answer_alike_on_the_whole_test_split() -> None:
    assert "0 labels differ" in run_script("functions.spam.evaluate", "--check-parity")


@pytest.mark.training
def test_the_card_holds_what_is_measured() -> None:
    assert "holds what was measured" in run_script("functions.spam.evaluate", "--check-card")
