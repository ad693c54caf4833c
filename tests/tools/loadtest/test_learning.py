"""What is learned of a real server, and what is said where nothing can be."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from servelite.core.errors import DefinitionError, ServiceError
from servelite.tools.loadtest.learning import Ask, asker, find_functions, learn
from servelite.tools.loadtest.questions import Reply
from tests.server import Server, free_port

FUNCTIONS = Path(__file__).parents[2] / "functional" / "functions"

LIMITED = """
from typing import Annotated
from pydantic import AfterValidator
from servelite import function

def few(words: str) -> str:
    if len(words.split()) > 4:
        raise ValueError("too many words")
    return words

@function
def limited(words: Annotated[str, AfterValidator(few)]) -> int:
    return len(words)
"""

RANDOM = """
import random
from servelite import function

@function
def dice(sides: int) -> int:
    return random.randrange(10**9)
"""


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    root = tmp_path_factory.mktemp("learned")
    for name, source, example in (("limited", LIMITED, '"one two"'), ("dice", RANDOM, "6")):
        (root / name).mkdir()
        (root / name / "handler.py").write_text(source, encoding="utf-8")
        (root / name / "examples.jsonl").write_text(f'{{"input": {example}}}\n', encoding="utf-8")
    server = Server(root / "limited", root / "dice", FUNCTIONS / "double", FUNCTIONS / "shout", FUNCTIONS / "mean", cwd=root)
    try:
        yield asker(server.wait_ready().url, None)
    finally:
        server.kill()


def test_functions_with_examples_are_found(ask: Ask) -> None:
    assert sorted(one.name for one in find_functions(ask, {})) == ["dice", "double", "limited", "shout"]


def test_answers_are_those_of_the_examples_else_those_given_twice(ask: Ask) -> None:
    (lesson,) = learn(ask, {"double": 1.0})
    assert [(one.body, one.is_known, one.expected) for one in lesson.questions] == [(b"21", True, 42), (b"-1", True, -2)]


def test_what_answers_by_chance_is_not_held_to_an_answer(ask: Ask) -> None:
    (lesson,) = learn(ask, {"dice": 1.0})
    assert [one.is_known for one in lesson.questions] == [False]


def test_longer_inputs_are_those_that_are_answered(ask: Ask) -> None:
    limited, shout = learn(ask, {"limited": 1.0, "shout": 1.0}, "long-tail")
    words = [len(one.body.split()) for one in limited.questions]
    assert 2 in words
    assert set(words) <= {2, 3, 4}
    assert max(len(one.body) for one in shout.questions) > 20 * len("hello")
    assert all(one.is_known for one in shout.questions)


@pytest.mark.parametrize(
    ("mix", "says"),
    [
        ({"nothing": 1.0}, "The server has no function 'nothing'. It has: "),
        ({"mean": 1.0}, "Calls are made of examples, and mean has none. Put some into its examples.jsonl."),
    ],
)
def test_what_can_not_be_called_is_told(ask: Ask, mix: dict[str, float], says: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        find_functions(ask, mix)
    assert raised.value.detail.startswith(says)


def test_where_nobody_listens_it_is_told() -> None:
    with pytest.raises(ServiceError, match=r"No server answers there: .* Start one with: servelite run PATH"):
        learn(asker(f"http://127.0.0.1:{free_port()}", None), {})


@pytest.mark.parametrize(
    ("reply", "error", "says"),
    [
        (Reply(200, {}, b"<html>"), ServiceError, "The server answers GET /functions with 200, not as servelite does."),
        (Reply(200, {}, b"{}"), ServiceError, "The server answers GET /functions with 200, not as servelite does."),
        (Reply(200, {}, b'{"functions": [1]}'), ServiceError, "The server answers GET /functions with 200, not as servelite does."),
        (Reply(200, {}, b'{"functions": [{"name": "f"}]}'), ServiceError, "The server answers GET /functions/f with 200, not as servelite"),
        (Reply(404, {}, b"[]"), ServiceError, "The server answers GET /functions with 404, not as servelite does."),
        (Reply(401, {}, b'{"detail": "Show a key."}'), DefinitionError, "Show a key."),
    ],
)
def test_another_answer_than_servelites_is_told(reply: Reply, error: type[Exception], says: str) -> None:
    def ask(path: str, body: bytes | None, media_type: str) -> Reply:
        return reply

    with pytest.raises(error, match=says):
        find_functions(ask, {})
