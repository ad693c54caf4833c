"""Answers are looked at: their status, their type, and what they say."""

import json
from typing import Any

import pytest

from servelite.core.function import JSON, TEXT, Description, Limits
from servelite.tools.loadtest.questions import Lesson, Question, Reply


def a_lesson(gives: str = JSON) -> Lesson:
    return Lesson(Description("f", "", Limits(), (JSON,), gives, {}, {}), ())


def a_reply(said: Any, status: int = 200, media_type: str = JSON) -> Reply:
    return Reply(status, {"content-type": media_type}, said if isinstance(said, bytes) else json.dumps(said).encode())


EXPECTED = {"label": "positive", "score": 0.9}


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (a_reply(EXPECTED), ("", "")),
        (a_reply({"label": "positive", "score": 0.9001}), ("", "")),
        (a_reply({"label": "negative", "score": 0.9}), ("wrong_answer", 'label is "negative", not "positive"')),
        (a_reply({"label": "positive", "score": 0.8}), ("wrong_answer", "score is 0.8, not 0.9 (0.1 apart)")),
        (a_reply(b"{"), ("wrong_answer", "it is no application/json")),
        (a_reply(EXPECTED, media_type="text/html; charset=utf-8"), ("wrong_answer", "it is no application/json")),
        (
            a_reply({"code": "overloaded", "detail": "It is busy."}, 429, "application/problem+json"),
            ("overloaded", "It is busy."),
        ),
        (a_reply(b"Bad gateway", 502, "text/html"), ("status_502", "Bad gateway")),
        (a_reply([], 502, "application/problem+json"), ("status_502", "[]")),
        (Reply(0, body=b"connection refused"), ("no_answer", "connection refused")),
    ],
)
def test_what_is_wrong_is_named(reply: Reply, verdict: tuple[str, str]) -> None:
    assert a_lesson().judge(Question(b"", is_known=True, expected=EXPECTED), reply) == verdict


def test_what_is_not_known_is_only_read() -> None:
    assert a_lesson().judge(Question(b""), a_reply("anything")) == ("", "")
    assert a_lesson().judge(Question(b""), a_reply(b"<"))[0] == "wrong_answer"
    assert a_lesson(TEXT).judge(Question(b""), Reply(200, {"content-type": TEXT}, b"\xff"))[0] == "wrong_answer"


def test_a_body_that_was_right_is_not_read_again_and_another_one_is() -> None:
    lesson, question = a_lesson(), Question(b"", is_known=True, expected=EXPECTED)
    assert lesson.judge(question, a_reply(EXPECTED)) == ("", "")
    assert question.right == json.dumps(EXPECTED).encode()
    assert lesson.judge(question, a_reply(EXPECTED)) == ("", "")
    assert lesson.judge(question, a_reply({**EXPECTED, "score": 0.1}))[0] == "wrong_answer"
