import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.errors import DefinitionError
from servelite.core.function import BINARY, JSON, LIMITS_ATTRIBUTE, TEXT, Context, Description, Limits, function

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3),
    max_leaves=8,
)


def described(**changes: object) -> Description:
    fields = {"name": "f", "summary": "", "limits": Limits(), "takes": (JSON,), "gives": JSON, "input_schema": {}, "output_schema": {}}
    return Description(**{**fields, **changes})


def plain(text: str) -> str:
    return text


def test_a_bare_decorator_gives_the_default_limits_and_leaves_the_function_as_it_is():
    assert function(plain) is plain
    assert getattr(plain, LIMITS_ATTRIBUTE) == Limits(max_batch=1, timeout_s=30, memory_mib=1024, max_workers=None, idle_s=300)


def test_a_decorator_with_limits_keeps_them():
    marked = function(max_batch=64, timeout_s=2, memory_mib=512, max_workers=3, idle_s=0.5)(plain)
    assert marked is plain
    assert getattr(marked, LIMITS_ATTRIBUTE) == Limits(64, 2, 512, 3, 0.5)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("batch", "max_batch"),
        ("max_batchs", "max_batch"),
        ("timeout", "timeout_s"),
        ("memory_mb", "memory_mib"),
        ("workers", "max_workers"),
        ("idle", "idle_s"),
    ],
)
def test_an_unknown_field_is_refused_with_the_near_name(name, meant):
    with pytest.raises(DefinitionError, match=f"no field '{name}'. Did you mean '{meant}'"):
        function(**{name: 1})


def test_a_field_near_to_nothing_is_refused_with_all_fields():
    with pytest.raises(DefinitionError, match=r"no field 'gpu'\. Its fields: max_batch, timeout_s, memory_mib, max_workers, idle_s\."):
        function(gpu=1)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("max_batch", 0, "a whole number from 1"),
        ("max_batch", -1, "a whole number from 1"),
        ("max_batch", 1.5, "a whole number from 1"),
        ("max_batch", True, "a whole number from 1"),
        ("max_batch", "8", "a whole number from 1"),
        ("max_batch", None, "a whole number from 1"),
        ("memory_mib", 0.5, "a whole number from 1"),
        ("max_workers", 0, "a whole number from 1"),
        ("timeout_s", 0, "a number above 0"),
        ("timeout_s", float("inf"), "a number above 0"),
        ("timeout_s", float("nan"), "a number above 0"),
        ("idle_s", None, "a number above 0"),
    ],
)
def test_an_impossible_limit_is_refused_with_the_value_and_the_rule(name, value, rule):
    with pytest.raises(DefinitionError) as caught:
        function(**{name: value})
    assert caught.value.detail == f"@function({name}={value!r}): {name} is {rule}."


@pytest.mark.parametrize(
    ("takes", "media_type", "fits"),
    [
        pytest.param((JSON,), JSON, True, id="json for json"),
        pytest.param((JSON,), "", True, id="none at all"),
        pytest.param((JSON,), TEXT, False, id="text for json"),
        pytest.param((JSON,), "application/jsonx", False, id="only a prefix"),
        pytest.param((TEXT, JSON), JSON, True, id="json for text"),
        pytest.param((BINARY, "image/*"), "image/png", True, id="an image"),
        pytest.param((BINARY, "image/*"), "audio/wav", False, id="sound for images"),
        pytest.param((BINARY, "image/*"), "imagery/png", False, id="nearly an image"),
        pytest.param((JSON,), "*/*", False, id="anything"),
    ],
)
def test_a_description_says_which_media_types_fit(takes, media_type, fits):
    assert described(takes=takes).accepts(media_type) is fits


@given(
    summary=st.text(),
    examples=st.lists(st.fixed_dictionaries({"input": VALUES}), max_size=3),
    card=st.dictionaries(st.text(), VALUES, max_size=3),
    limits=st.builds(Limits, max_batch=st.integers(1, 99), timeout_s=st.floats(0.1, 9), max_workers=st.none() | st.integers(1, 9)),
)
def test_a_description_crosses_processes_as_json(summary, examples, card, limits):
    sent = described(summary=summary, examples=tuple(examples), card=card, limits=limits, takes=(TEXT, JSON))
    assert Description.from_dict(json.loads(json.dumps(sent.to_dict()))) == sent


@pytest.mark.parametrize(
    ("takes", "value", "body"),
    [
        pytest.param((TEXT, JSON), "über", "über".encode(), id="text as it is"),
        pytest.param((BINARY,), "AP8=", b"\x00\xff", id="bytes from base64"),
        pytest.param((JSON,), "text", b'"text"', id="a string as json"),
        pytest.param((JSON,), {"a": [1]}, b'{"a": [1]}', id="an object as json"),
    ],
)
def test_an_examples_input_becomes_a_body(takes, value, body):
    assert described(takes=takes).encode_input(value) == body


@pytest.mark.parametrize(
    ("gives", "body", "value"),
    [
        pytest.param(TEXT, "über".encode(), "über", id="text as it is"),
        pytest.param(BINARY, b"\x00\xff", "AP8=", id="bytes as base64"),
        pytest.param(JSON, b'{"a": [1]}', {"a": [1]}, id="json parsed"),
    ],
)
def test_an_answers_body_becomes_an_examples_output(gives, body, value):
    assert described(gives=gives).decode_output(body) == value


def test_a_context_asks_for_its_own_call():
    asked = []
    context = Context("id-1", "acme", 0.0, JSON, logging.getLogger(), lambda *said: asked.append(said) or "told")
    assert context.call("embed", {"text": "x"}) == "told"
    assert asked == [("id-1", "embed", {"text": "x"})]


def test_a_context_that_was_made_by_hand_calls_nobody():
    with pytest.raises(DefinitionError, match=r"embed was not called: .*Context\(…, ask=…\)"):
        Context("id-1", "acme", 0.0, JSON, logging.getLogger()).call("embed", 1)
