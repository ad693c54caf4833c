"""Questions: calls whose right answers are known, and what is to be said of the answers that come."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from servelite.core.function import Description
from servelite.core.likeness import difference

NO_ANSWER, WRONG_ANSWER = "no_answer", "wrong_answer"
"""Codes for what no problem document says: nothing came back, or something that is not right."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered, header names in lower case; status 0 where no answer came."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(slots=True)
class Question:
    """A call. `expected` is its output as examples.jsonl has it, where `is_known`; `right` is the last body found to say that."""

    body: bytes
    is_known: bool = False
    expected: Any = None
    right: bytes | None = None


@dataclass(frozen=True, slots=True)
class Lesson:
    """What has been learned of a function: the calls that can be made of it."""

    function: Description
    questions: tuple[Question, ...]

    @property
    def path(self) -> str:
        """Where calls are sent."""
        return f"/functions/{self.function.name}"

    @property
    def media_type(self) -> str:
        """What its bodies are."""
        return media_type(self.function)

    def judge(self, question: Question, reply: Reply) -> tuple[str, str]:
        """Return the code of what is wrong with an answer, and a word on it; "" and "" where nothing is."""
        if reply.status != 200:
            return _problem(reply)
        if question.right == reply.body:
            return "", ""
        said = read(self.function, reply)
        if said is None:
            return WRONG_ANSWER, f"it is no {self.function.gives}"
        if question.is_known and (wrong := difference(question.expected, said[0])):
            return WRONG_ANSWER, str(wrong)
        question.right = reply.body
        return "", ""


def media_type(function: Description) -> str:
    """Return the media type of a function's bodies; images are PNGs."""
    return function.takes[0].replace("*", "png")


def read(function: Description, reply: Reply) -> tuple[Any] | None:
    """Return an output as examples.jsonl would have it, in a tuple; None where the body is no output of the function."""
    given = reply.headers.get("content-type", "").partition(";")[0].strip()
    if given != function.gives:
        return None
    try:
        return (function.decode_output(reply.body),)
    except ValueError:
        return None


def _problem(reply: Reply) -> tuple[str, str]:
    if not reply.status:
        return NO_ANSWER, reply.body.decode(errors="replace")
    try:
        told = json.loads(reply.body) if "problem" in reply.headers.get("content-type", "") else {}
        return str(told["code"]), str(told.get("detail", ""))
    except (ValueError, KeyError, TypeError):
        return f"status_{reply.status}", reply.body[:80].decode(errors="replace")
