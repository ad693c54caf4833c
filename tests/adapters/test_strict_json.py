"""What is not strict JSON is told so, NaN and Infinity never reach a handler, and nobody crashes."""

import itertools
import json
from collections.abc import Iterator

import pytest
from _pytest.mark.structures import ParameterSet

from tests.adapters.problem import check_problem
from tests.server import Server

MALFORMED = {
    "empty": b"",
    "blank": b" \n ",
    "a lone high surrogate": b'"\\ud800"',
    "a lone low surrogate": b'"\\udc00 tail"',
    "surrogates in the wrong order": b'"\\udc00\\ud800"',
    "a surrogate as bytes": b'"\xed\xa0\x80"',
    "invalid UTF-8": b'"\xff"',
    "cut UTF-8": b'"\xc3"',
    "overlong UTF-8": b'"\xc0\xaf"',
    "latin-1": '"é"'.encode("latin-1"),
    "UTF-16": '"text"'.encode("utf-16"),
    "UTF-16 without a mark": '"text"'.encode("utf-16-le"),
    "UTF-32": '"text"'.encode("utf-32"),
    "100,000 arrays deep": b"[" * 100_000 + b"]" * 100_000,
    "100,000 arrays, never closed": b"[" * 100_000,
    "100,000 objects deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "NUL": b"\0",
    "a control character in a string": b'"a\nb"',
    "single quotes": b"'text'",
    "a trailing comma": b"[1,]",
    "a comment": b"[1] // one",
    "two values": b"1 2",
    "a leading zero": b"01",
    "hexadecimal": b"0x1",
    "a bare word": b"text",
    "an unclosed string": b'"text',
}

NOT_FINITE = {
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "1e999": b"1e999",
    "-1e999": b"-1e999",
    "1E+999": b"1E+999",
    "0.1e400": b"0.1e400",
    "400 digits and a dot": b"9" * 400 + b".0",
}

TRICKS = {
    "NaN as a string": b'"NaN"',
    "nan as a string": b'"nan"',
    "inf as a string": b'" inf "',
    "1e999 as a string": b'"1e999"',
    "NaN, escaped": b'"N\\u0061N"',
    "Infinity, escaped": b'"\\u0049nfinity"',
    "1e999, escaped": b'"1\\u0065999"',
    "400 digits as a string": b'"' + b"9" * 400 + b'"',
    "400 digits with underscores": b'"' + b"_".join([b"9"] * 400) + b'"',
}

SHAPES = {
    "a field": '{"field": %s}',
    "a value": '{"values": {"x": %s}}',
    "a queue": '{"queue": [%s]}',
    "a set": '{"unique": [%s]}',
    "a named tuple": '{"pair": [%s]}',
    "a typed dict": '{"row": {"x": %s}}',
    "a dataclass": '{"point": {"x": %s}}',
    "a root model": '{"root": [%s]}',
    "an extra field": '{"extra": %s}',
}


def _table() -> Iterator[ParameterSet]:
    for shape, name in itertools.product(SHAPES, {**NOT_FINITE, **TRICKS}):
        if shape == "an extra field" and name in TRICKS:
            continue  # it is a string there
        yield pytest.param(shape, name, id=f"{name} in {shape}")


@pytest.mark.parametrize("function", ["anything", "shout", "mean", "order", "sentiment"])
@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_not_strict_json_is_malformed(server: Server, name: str, function: str) -> None:
    check_problem(server.post(function, MALFORMED[name]), 400, "malformed_json")


@pytest.mark.parametrize("template", ["%s", "[%s]", '{"a": [0, {"b": %s}]}'], ids=["alone", "in an array", "deep inside"])
@pytest.mark.parametrize("name", NOT_FINITE)
def test_a_number_that_is_not_finite_reaches_no_handler(server: Server, name: str, template: str) -> None:
    body = template.encode().replace(b"%s", NOT_FINITE[name])
    reply = server.post("anything", body)
    assert (reply.status, reply.json()["code"]) in ((400, "malformed_json"), (422, "invalid_input")), reply.body


@pytest.mark.parametrize(("shape", "name"), list(_table()))
def test_a_float_that_is_not_finite_reaches_no_handler_in_any_shape(server: Server, shape: str, name: str) -> None:
    reply = server.post("shapes", SHAPES[shape].encode().replace(b"%s", {**NOT_FINITE, **TRICKS}[name]))
    assert (reply.status, reply.json()["code"]) in ((400, "malformed_json"), (422, "invalid_input")), reply.body


@pytest.mark.parametrize("key", ["NaN", "Infinity", "1e999"])
def test_a_key_that_is_not_finite_reaches_no_handler(server: Server, key: str) -> None:
    check_problem(server.call("shapes", {"keys": {key: 1}}), 422, "invalid_input")


@pytest.mark.parametrize("text", ["NaN", "Infinity", "inf", "1e999", "nancy e0 infinite", "9" * 400])
def test_words_that_look_like_numbers_are_words(server: Server, text: str) -> None:
    reply = server.call("anything", [text, {text: text}])
    assert (reply.status, reply.json()) == (200, [text, {text: text}])


@pytest.mark.parametrize("number", [1.7976931348623157e308, -1.7976931348623157e308, 5e-324, 1e-400, 0.1, -0.0, 2**53, 10**300])
def test_a_finite_number_comes_back_as_it_went(server: Server, number: float) -> None:
    assert server.call("anything", number).json() == number


def test_an_answer_never_holds_nan(server: Server) -> None:
    problem = check_problem(server.call("mean", []), 500, "function_failed")
    assert problem["request_id"] in problem["detail"]


@pytest.mark.parametrize(
    ("function", "value", "field", "rule"),
    [
        ("double", "x", "", "int_parsing"),
        ("double", 1.5, "", "int_from_float"),
        ("double", None, "", "int_type"),
        ("shout", 1, "", "string_type"),
        ("mean", {"a": 1}, "", "list_type"),
        ("mean", [1, "x", 3], "[1]", "float_parsing"),
        ("order", [], "", "model_type"),
        ("order", {}, "lines", "missing"),
        ("order", {"lines": []}, "lines", "too_short"),
        ("order", {"lines": [{"category": {}}]}, "lines[0].category.name", "missing"),
        ("order", {"lines": [], "note": 1}, "note", "string_type"),
        ("sentiment", {"text": ""}, "text", "string_too_short"),
        ("sentiment", {"text": "x" * 10_001}, "text", "string_too_long"),
        ("sentiment", {"text": ["a"]}, "text", "string_type"),
    ],
    ids=str,
)
def test_a_wrong_type_names_the_field_and_the_rule(server: Server, function: str, value: object, field: str, rule: str) -> None:
    problem = check_problem(server.call(function, value), 422, "invalid_input")
    assert (field, rule) in {(one["field"], one["rule"]) for one in problem["errors"]}
    assert field in problem["detail"]
    assert "pydantic" not in json.dumps(problem)


def test_many_wrong_items_make_a_short_answer(server: Server) -> None:
    reply = server.post("mean", b"[" + b'"x",' * 100_000 + b"1]")
    check_problem(reply, 422, "invalid_input")
    assert len(reply.body) < 10_000


def test_the_workers_have_outlived_all_of_it(server: Server) -> None:
    for name, body in {**MALFORMED, **NOT_FINITE}.items():
        assert server.post("anything", body).status in (400, 422), name
    reply = server.call("anything", "still here")
    assert (reply.json(), reply.receipt["cold"]) == ("still here", False)
