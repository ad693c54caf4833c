"""Folders that are pipelines: what is loaded of them, what can't be, and their glue as a worker runs it."""

import json

import pytest

from servelite.core.call import Call
from servelite.core.errors import DefinitionError, FunctionFailed, InvalidInput
from servelite.core.function import JSON, TEXT, Description
from servelite.core.pipeline import Each, FunctionStage, Glue, Sequence
from servelite.worker.description import describe
from servelite.worker.loader import GLUE_AT_ONCE, Function, load
from servelite.worker.runner import Runner

LETTERS = """
    '''Letters of a text.'''
    from servelite import Context, InvalidInput, each, sequence, stage

    def total(lengths: list[int]) -> int:
        if 0 in lengths:
            raise InvalidInput("A word without letters.")
        return sum(lengths)

    def shown(number: int, context: Context) -> str:
        return f"{number} letters, {context.account}"

    pipeline = stage(sequence("words", each("count"), total, shown), timeout_s=4)
"""


@pytest.fixture
def letters(write_function) -> Function:
    return load(write_function("letters", LETTERS, {"examples.jsonl": '{"input": "a b"}\n'}))


def test_a_file_with_a_pipeline_is_loaded_with_its_glue(letters):
    assert letters.pipeline == Sequence((FunctionStage("words"), Each(FunctionStage("count")), Glue("total"), Glue("shown")), timeout_s=4)
    assert (letters.name, letters.summary, set(letters.parts)) == ("letters", "Letters of a text.", {"total", "shown"})
    assert (letters.limits.timeout_s, letters.limits.max_batch) == (4, GLUE_AT_ONCE)


def test_a_pipeline_without_a_limit_has_a_functions(write_function):
    assert load(write_function("p", "from servelite import sequence\n\npipeline = sequence('a')")).limits.timeout_s == 30


def test_a_pipeline_is_described_by_its_plain_form_and_its_glue_by_its_types(letters):
    described = describe(letters)
    assert described.pipeline == letters.pipeline.to_dict()
    assert {name: (one.takes, one.gives) for name, one in described.glue.items()} == {"total": ((JSON,), JSON), "shown": ((JSON,), TEXT)}
    assert described.glue["total"].input_schema == {"type": "array", "items": {"type": "integer"}}
    assert (described.input_schema, described.output_schema) == ({}, {})
    assert Description.from_dict(json.loads(json.dumps(described.to_dict()))) == described


def test_glue_may_come_from_another_file(write_function):
    source = "from glue import total\nfrom servelite import sequence\n\npipeline = sequence('a', total)"
    loaded = load(write_function("p", source, {"glue.py": "def total(lengths: list[int]) -> int:\n    return sum(lengths)\n"}))
    assert set(loaded.parts) == {"total"}


def test_what_is_called_pipeline_beside_a_handler_and_is_none_is_no_matter(write_function):
    source = "from servelite import function\n\npipeline = ['lower', 'split']\n\n@function\ndef f(text: str) -> str:\n    return text"
    assert load(write_function("f", source)).pipeline is None


BROKEN = {
    "a handler beside it": (
        """
        from servelite import function, sequence

        @function
        def shout(text: str) -> str:
            return text.upper()

        pipeline = sequence("words")
        """,
        r"handler\.py has a pipeline and the handler shout\. A folder is one function; move the other out\.",
    ),
    "a pipeline that is none": (
        "pipeline = ['words', 'count']",
        r"handler\.py has a pipeline that is a list\. Make one of stages: pipeline = sequence\('langid', 'sentiment'\)\.",
    ),
    "glue that is gone": (
        """
        from servelite import sequence

        def total(lengths: list[int]) -> int:
            return sum(lengths)

        pipeline = sequence("words", total)
        del total
        """,
        r"handler\.py has no function 'total', which its pipeline names\. Define it there, or import it\.",
    ),
    "glue by another name": (
        """
        from math import fsum as total
        from servelite import sequence

        pipeline = sequence("words", total)
        """,
        r"handler\.py has no function 'fsum', which its pipeline names\.",
    ),
    "untyped glue": (
        """
        from servelite import sequence

        def total(lengths) -> int:
            return sum(lengths)

        pipeline = sequence("words", total)
        """,
        r"handler\.py:4: .*Annotate it, for example lengths: str",
    ),
    "async glue": (
        """
        from servelite import sequence

        async def total(lengths: list[int]) -> int:
            return sum(lengths)

        pipeline = sequence("words", total)
        """,
        r"handler\.py:4: .*write a plain def",
    ),
    "a stage that is none": (
        """
        from servelite import sequence

        pipeline = sequence(
            "words",
            lambda words: len(words),
        )
        """,
        r"handler\.py:4: sequence\(\) has <lambda>, which has no name at the file's top\. Write a def there",
    ),
}


@pytest.mark.parametrize(("source", "told"), BROKEN.values(), ids=BROKEN)
def test_what_can_not_be_loaded_is_told_with_its_place_and_cure(write_function, source, told):
    with pytest.raises(DefinitionError, match=told):
        load(write_function("p", source))


def asked(part: str, value: object) -> Call:
    return Call(f"id-{part}-{value}", "letters", JSON, json.dumps(value).encode(), account="ada", part=part)


def test_a_worker_runs_pieces_of_glue_by_name_one_by_one_in_one_batch(letters):
    reply = Runner(letters).run([asked("total", [1, 2]), asked("shown", 3), asked("total", [0]), asked("total", "x"), asked("total", [])])
    outcomes = [outcome.body or type(outcome.error) for outcome in reply.outcomes]
    assert outcomes == [b"3", b"3 letters, ada", InvalidInput, InvalidInput, b"0"]


def test_a_call_whose_glue_is_gone_fails_alone(letters, caplog):
    reply = Runner(letters).run([asked("gone", 1), asked("total", [1])])
    assert isinstance(reply.outcomes[0].error, FunctionFailed)
    assert reply.outcomes[1].body == b"1"
    assert "letters has no gone any more: it was saved anew while this call ran." in caplog.text
