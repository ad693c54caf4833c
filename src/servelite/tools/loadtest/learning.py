"""Learns from a running server what can be asked of it: its functions, their examples, and what the answers to them are."""

import json
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException
from itertools import cycle
from typing import Any
from urllib.parse import urlsplit

from servelite.core.errors import DefinitionError, ServiceError
from servelite.core.function import Description
from servelite.tools.loadtest.questions import Lesson, Question, Reply, media_type, read
from servelite.tools.loadtest.sizes import factors, stretched

SIZES = ("examples", "long-tail")

MOST_EXAMPLES = 64

LEARN_S = 5.0
"""How long calls are made of one function to learn its answers; those that are not learned by then are not checked for what they say."""

ANSWER_WITHIN_S = 60.0

Ask = Callable[[str, bytes | None, str], Reply]
"""Sends a request: takes its path, the body of a POST or None for a GET, and the body's media type."""


def asker(url: str, key: str | None) -> Ask:
    """Return what sends requests to a server, each on a connection of its own; without an answer it returns status 0."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    shown = {"Authorization": f"Bearer {key}"} if key else {}

    def ask(path: str, body: bytes | None, media_type: str) -> Reply:
        connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=ANSWER_WITHIN_S)
        try:
            headers = {**shown, **({"Content-Type": media_type} if body is not None else {})}
            connection.request("GET" if body is None else "POST", path, body, headers)
            response = connection.getresponse()
            return Reply(response.status, {name.lower(): said for name, said in response.getheaders()}, response.read())
        except (OSError, HTTPException) as error:
            return Reply(0, body=str(error).encode())
        finally:
            connection.close()

    return ask


def find_functions(ask: Ask, mix: Mapping[str, float]) -> list[Description]:
    """Return the functions that a server has, or those of a mix: the ones that have examples, for without there is nothing to send.

    Raises:
        ServiceError: no server answers, or not as servelite does.
        DefinitionError: the key may not, a function of the mix is not there, or there are no examples.
    """
    names: list[str] = _get(ask, "/functions", lambda told: [str(one["name"]) for one in told["functions"]])
    for name in mix:
        if name not in names:
            raise DefinitionError(f"The server has no function '{name}'. It has: {', '.join(names) or 'none'}.")
    found: list[Description] = [_get(ask, f"/functions/{name}", Description.from_dict) for name in (mix or names)]
    without = [one.name for one in found if not one.examples]
    if without and (mix or len(without) == len(found)):
        raise DefinitionError(f"Calls are made of examples, and {without[0]} has none. Put some into its examples.jsonl.")
    return [one for one in found if one.examples]


def learn(ask: Ask, mix: Mapping[str, float], sizes: str = "examples") -> list[Lesson]:
    """Return what can be asked of each function, with the answers: its examples', else what is given twice; see `find_functions`."""
    return [Lesson(one, tuple(_questions(ask, one, sizes))) for one in find_functions(ask, mix)]


def _questions(ask: Ask, function: Description, sizes: str) -> list[Question]:
    until_s = time.monotonic() + LEARN_S
    found = []
    for example in function.examples[:MOST_EXAMPLES]:
        question = Question(function.encode_input(example["input"]), "output" in example, example.get("output"))
        if not question.is_known and time.monotonic() < until_s:
            _learn_answer(ask, function, question)
        found.append(question)
    return found if sizes == "examples" else found + _longer(ask, function, until_s)


def _longer(ask: Ask, function: Description, until_s: float) -> list[Question]:
    """Return longer inputs that the function answers: validators may refuse what the schema allows."""
    found, seen = [], set()
    for factor, example in zip(sorted(factors(), reverse=True), cycle(function.examples[:MOST_EXAMPLES]), strict=False):
        value = stretched(example["input"], function.input_schema, factor)
        if value == example["input"] or (body := function.encode_input(value)) in seen or time.monotonic() > until_s:
            continue
        seen.add(body)
        question = Question(body)
        if _learn_answer(ask, function, question):
            found.append(question)
    return found


def _learn_answer(ask: Ask, function: Description, question: Question) -> bool:
    """Ask twice, and take the answer for the right one where both are alike; tell whether the question was answered."""
    lesson = Lesson(function, ())
    reply = ask(lesson.path, question.body, media_type(function))
    if reply.status != 200 or (said := read(function, reply)) is None:
        return False
    question.is_known, question.expected = True, said[0]
    again = ask(lesson.path, question.body, media_type(function))
    question.is_known = again.status == 200 and lesson.judge(question, again) == ("", "")
    return True


def _get(ask: Ask, path: str, understand: Callable[[Any], Any]) -> Any:
    reply = ask(path, None, "")
    if not reply.status:
        raise ServiceError(f"No server answers there: {reply.body.decode(errors='replace')}. Start one with: servelite run PATH")
    try:
        told = json.loads(reply.body)
        if reply.status != 200:
            raise DefinitionError(str(told["detail"]))
        return understand(told)
    except (ValueError, KeyError, TypeError) as error:
        raise ServiceError(
            f"The server answers GET {path} with {reply.status}, not as servelite does. Is another one running there?"
        ) from error
