import json
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, computed_field, field_serializer, field_validator
from typing_extensions import TypedDict

from servelite.core.errors import DefinitionError, FunctionFailed, InvalidInput, MalformedJson
from servelite.core.function import BINARY, JSON, TEXT
from servelite.core.schema import MAX_FIELD_ERRORS, Codec, from_body, to_body


class Line(BaseModel):
    text: str = Field(min_length=1)
    weight: float = 1.0


class Page(BaseModel):
    lines: list[Line]
    title: str = ""


@dataclass
class Point:
    x: Any


class Unready(BaseModel):
    later: "Nowhere"  # noqa: F821  never defined: that is the test


class Inverse(BaseModel):
    number: float

    @field_validator("number")
    @classmethod
    def invert(cls, number: float) -> float:
        return 1 / number


class Half(BaseModel):
    whole: float

    @computed_field
    def half(self) -> float:
        return math.nan


class Parcel(TypedDict):
    weight: float
    note: NotRequired[str]


class Letter(BaseModel):
    to: str = Field(alias="recipient")
    stamps: int = 1
    lines: list[str] = Field(default_factory=list)
    secret: str = Field(default="", exclude=True)
    parcel: Parcel | None = None


class Shouted(BaseModel):
    text: str

    @field_serializer("text")
    def shout(self, text: str) -> str:
        return {"hello": "HELLO"}[text]


def decode(kind: Any, body: bytes, media_type: str = JSON) -> Any:
    return Codec(kind, str).decode(body, media_type)


def encode(kind: Any, output: Any) -> bytes:
    return Codec(str, kind).encode(output)


def all_floats(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for pair in value.items() for part in pair for number in all_floats(part)]
    if isinstance(value, (list, tuple, deque)):
        return [number for part in value for number in all_floats(part)]
    return [value] if isinstance(value, float) else []


NOT_JSON = [
    pytest.param(b"", id="nothing"),
    pytest.param(b" \n", id="only white space"),
    pytest.param("[1]".encode("utf-16"), id="UTF-16 with a mark"),
    pytest.param("[1]".encode("utf-16-le"), id="UTF-16 without a mark"),
    pytest.param(b"\xef\xbb\xbf[1]", id="a byte order mark"),
    pytest.param(b'"\\ud800"', id="a lone high surrogate"),
    pytest.param(b'"\\udc00"', id="a lone low surrogate"),
    pytest.param(b'"\xed\xa0\x80"', id="a surrogate in UTF-8"),
    pytest.param(b'"\xff"', id="invalid UTF-8"),
    pytest.param(b'"\xc0\xaf"', id="overlong UTF-8"),
    pytest.param(b"NaN", id="bare NaN"),
    pytest.param(b"Infinity", id="bare Infinity"),
    pytest.param(b"-Infinity", id="bare minus Infinity"),
    pytest.param(b'[{"deep": -Infinity}]', id="nested Infinity"),
    pytest.param(b"[" * 100_000, id="100,000 open brackets"),
    pytest.param(b"[" * 100_000 + b"]" * 100_000, id="nested 100,000 deep"),
    pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="objects nested 100,000 deep"),
    pytest.param(b"{} {}", id="two values"),
    pytest.param(b"{}x", id="trailing garbage"),
    pytest.param(b"{}\x00", id="a trailing zero byte"),
    pytest.param(b"{'lines': []}", id="single quotes"),
    pytest.param(b"[1,]", id="a trailing comma"),
    pytest.param(b"{lines: []}", id="a bare key"),
    pytest.param(b"[1] // one", id="a comment"),
    pytest.param(b"01", id="a leading zero"),
    pytest.param(b"+1", id="a plus sign"),
    pytest.param(b".5", id="no whole part"),
    pytest.param(b"True", id="Python's True"),
    pytest.param(b'"\n"', id="a raw line break in a string"),
    pytest.param(b"9" * 5_000, id="5,000 digits"),
]


@pytest.mark.parametrize("body", NOT_JSON)
def test_what_is_not_strict_json_is_malformed(body):
    with pytest.raises(MalformedJson, match=r"^The body is not strict JSON: .*\.$"):
        decode(Any, body)


@pytest.mark.parametrize("more", ["NaN", "Infinity", '[{"deep": -Infinity}]'])
def test_nan_is_malformed_in_a_field_that_nobody_reads_too(more):
    with pytest.raises(MalformedJson, match="JSON numbers are finite"):
        decode(Line, f'{{"text": "x", "more": {more}}}'.encode())


@pytest.mark.parametrize(
    "body",
    [pytest.param(b"NaN", id="bare"), pytest.param(b'{"text": Infinity}', id="in a field"), pytest.param(b'{"more": NaN}', id="elsewhere")],
)
def test_nan_is_malformed_even_where_the_body_does_not_fit_the_type(body):
    with pytest.raises(MalformedJson):
        decode(Line, body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"1e999", id="1e999"),
        pytest.param(b"-1E+999", id="minus 1E+999"),
        pytest.param(b"1" + b"0" * 309 + b".5", id="a fraction over the largest float"),
        pytest.param(b"9" * 400, id="400 digits"),
        pytest.param(b'"NaN"', id="a string NaN"),
        pytest.param(b'"nan"', id="a string nan"),
        pytest.param(b'"inf"', id="a string inf"),
        pytest.param(b'"-Infinity"', id="a string minus Infinity"),
        pytest.param(b'"1e999"', id="a string 1e999"),
        pytest.param(b'" 1e999 "', id="a string 1e999 with spaces"),
        pytest.param(b'"' + b"9" * 400 + b'"', id="a string of 400 digits"),
    ],
)
@pytest.mark.parametrize(
    ("kind", "around", "field"),
    [
        (float, "%b", ""),
        (list[float], "[0.5, %b]", "[1]"),
        (dict[str, float], '{"a": %b}', "a"),
        (tuple[int, float], "[1, %b]", "[1]"),
        (float | None, "%b", ""),
        (Line, '{"text": "x", "weight": %b}', "weight"),
        (Page, '{"lines": [{"text": "x"}, {"text": "x", "weight": %b}]}', "lines[1].weight"),
    ],
    ids=["float", "list", "dict", "tuple", "optional", "model", "nested model"],
)
def test_a_number_that_is_not_finite_never_reaches_a_float(kind, around, field, body):
    with pytest.raises(InvalidInput, match="Input should be a finite number") as caught:
        decode(kind, around.encode() % body)
    assert [(one["field"], one["rule"]) for one in caught.value.errors] == [(field, "finite_number")]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param(float, rb'"\u006ean"', id="an escaped n"),
        pytest.param(float, rb'"i\u006ef"', id="an escaped n in inf"),
        pytest.param(float, rb'"1\u0065999"', id="an escaped e"),
        pytest.param(float, rb'"\u0031e\u0039\u0039\u0039"', id="escaped digits"),
        pytest.param(dict[float, str], b'{"nan": "x"}', id="a key"),
        pytest.param(deque[float], b'["nan"]', id="a deque"),
        pytest.param(complex, b'"nan+1j"', id="a complex number"),
    ],
)
def test_a_number_that_is_not_finite_has_no_back_door(kind, body):
    with pytest.raises((InvalidInput, MalformedJson)):
        decode(kind, body)


@pytest.mark.parametrize(
    ("kind", "body", "value"),
    [
        pytest.param(str, b'"NaN"', "NaN", id="the string NaN"),
        pytest.param(Line, b'{"text": "Infinity"}', Line(text="Infinity"), id="the string Infinity in a field"),
        pytest.param(Line, b'{"text": "1e999"}', Line(text="1e999"), id="the string 1e999"),
        pytest.param(list[str], b'["inf", "nan", "null"]', ["inf", "nan", "null"], id="strings that look like numbers"),
        pytest.param(int, b"9" * 400, int("9" * 400), id="400 digits into an int"),
        pytest.param(Any, b"[1e308, -0.0, 1e-999]", [1e308, -0.0, 0.0], id="the ends of the floats"),
        pytest.param(float, b'"1.5"', 1.5, id="a number as a string"),
        pytest.param(Any, b'"\\ud83d\\ude00"', "😀", id="a surrogate pair"),
        pytest.param(Any, b' {"a" : [null, true]}\r\n', {"a": [None, True]}, id="white space around"),
    ],
)
def test_strict_json_is_read(kind, body, value):
    assert decode(kind, body) == value


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["nan", "inf", "-Infinity", "1e999", "9" * 310]),
    lambda part: st.lists(part) | st.dictionaries(st.text() | st.just("nan"), part),
    max_leaves=10,
)
NUMBERS = (
    st.sampled_from(["NaN", "Infinity", "-Infinity", "9" * 310, '"nan"', '" inf"', '"+Infinity"', "1"])
    | st.builds("{}{}e{}".format, st.sampled_from(["", "-"]), st.integers(0, 99), st.integers(-400, 400))
    | st.builds('"{}.{}E+{}"'.format, st.integers(0, 99), st.integers(0, 99), st.integers(0, 400))
)


@given(JSON_VALUES)
@pytest.mark.parametrize("kind", [Any, float, list[float], dict[str, float]], ids=["any", "float", "list", "dict"])
def test_no_document_becomes_a_value_with_a_number_that_is_not_finite(kind, value):
    try:
        decoded = decode(kind, json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    except (MalformedJson, InvalidInput):
        return
    assert all(map(math.isfinite, all_floats(decoded)))


@given(st.lists(NUMBERS, min_size=1))
def test_no_list_of_numbers_becomes_one_with_a_number_that_is_not_finite(numbers):
    try:
        decoded = decode(list[float], f"[{','.join(numbers)}]".encode())
    except (MalformedJson, InvalidInput):
        return
    assert len(decoded) == len(numbers)
    assert all(map(math.isfinite, decoded))


@given(st.binary())
@pytest.mark.parametrize("media_type", [JSON, TEXT, BINARY])
@pytest.mark.parametrize("kind", [Any, str, bytes, float, Page], ids=["any", "str", "bytes", "float", "model"])
def test_any_bytes_are_an_input_or_a_callers_error(kind, media_type, body):
    try:
        decoded = decode(kind, body, media_type)
    except (MalformedJson, InvalidInput):
        return
    assert all(map(math.isfinite, all_floats(decoded)))


@given(JSON_VALUES)
def test_any_output_comes_back_or_is_refused(value):
    try:
        body = encode(Any, value)
    except FunctionFailed:
        assert not all(map(math.isfinite, all_floats(value)))
        return
    assert json.loads(body, parse_constant=pytest.fail) == value


@pytest.mark.parametrize(
    ("kind", "takes"),
    [
        (str, (TEXT, JSON)),
        (bytes, (BINARY, "image/*", "audio/*")),
        (Annotated[str, Field(max_length=3)], (TEXT, JSON)),
        (Annotated[bytes, "pixels"], (BINARY, "image/*", "audio/*")),
        (Line, (JSON,)),
        (list[str], (JSON,)),
        (str | None, (JSON,)),
    ],
)
def test_the_input_type_says_which_media_types_are_taken(kind, takes):
    assert Codec(kind, str).takes == takes


@pytest.mark.parametrize(
    ("kind", "gives"),
    [(str, TEXT), (bytes, BINARY), (Annotated[str, Field(max_length=3)], TEXT), (Line, JSON), (Literal["a"], JSON), (int, JSON)],
)
def test_the_output_type_says_which_media_type_is_given(kind, gives):
    assert Codec(str, kind).gives == gives


def test_text_is_taken_as_it_is():
    assert decode(str, 'über "x"\n'.encode(), TEXT) == 'über "x"\n'


def test_a_text_may_come_as_a_json_string():
    assert decode(str, '"über"'.encode(), JSON) == "über"


def test_text_that_is_not_utf_8_is_malformed_at_a_byte():
    with pytest.raises(MalformedJson, match="not UTF-8 text: byte 2 is 0xff"):
        decode(str, b"ab\xff", TEXT)


def test_the_constraints_of_an_annotated_text_hold():
    with pytest.raises(InvalidInput, match="at most 3 characters"):
        decode(Annotated[str, Field(max_length=3)], b"four", TEXT)


@pytest.mark.parametrize("media_type", [BINARY, "image/png"])
def test_bytes_are_taken_as_they_are(media_type):
    assert decode(bytes, b"\xff\x00NaN", media_type) == b"\xff\x00NaN"


def test_invalid_input_names_field_value_and_rule():
    with pytest.raises(InvalidInput) as caught:
        decode(Page, b'{"lines": [{"text": "x"}, {"text": ""}]}')
    assert caught.value.detail == "lines[1].text: String should have at least 1 character (it is '')."
    (error,) = caught.value.errors
    assert error == {"field": "lines[1].text", "message": "String should have at least 1 character", "rule": "string_too_short"}


@pytest.mark.parametrize(
    ("kind", "body", "field", "rule"),
    [
        pytest.param(Page, b"{}", "lines", "missing", id="a missing field"),
        pytest.param(Page, b'{"lines": [{}]}', "lines[0].text", "missing", id="a missing field in a list"),
        pytest.param(Page, b"[]", "", "model_type", id="the root"),
        pytest.param(dict[str, list[int]], b'{"a b": [1, "x"]}', "a b[1]", "int_parsing", id="a key and an index"),
        pytest.param(list[list[int]], b"[[1], [2, null]]", "[1][1]", "int_type", id="two indexes"),
    ],
)
def test_a_field_error_says_where_and_which_rule(kind, body, field, rule):
    with pytest.raises(InvalidInput) as caught:
        decode(kind, body)
    assert [(one["field"], one["rule"]) for one in caught.value.errors] == [(field, rule)]


def test_thousands_of_wrong_items_are_told_in_a_bounded_answer():
    with pytest.raises(InvalidInput) as caught:
        decode(list[int], b"[" + b",".join([b'"x"'] * 20_000) + b"]")
    assert len(caught.value.errors) == MAX_FIELD_ERRORS
    assert len(caught.value.detail) < 1000


def test_a_long_wrong_value_is_shown_in_part():
    with pytest.raises(InvalidInput) as caught:
        decode(int, b'"' + b"x" * 100_000 + b'"')
    assert len(caught.value.detail) < 300


class Quoting(BaseModel):
    text: str

    @field_validator("text")
    @classmethod
    def refuse(cls, text: str) -> str:
        raise ValueError(text)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param(dict[str, int], {"k" * 290_000: "x"}, id="a field's name"),
        pytest.param(dict[str, int], {f"{number}{'ключ' * 10_000}": "x" for number in range(30)}, id="names of many fields"),
        pytest.param(Quoting, {"text": "x" * 290_000}, id="a validator's message"),
        pytest.param(dict[str, float], {"k" * 290_000: 1e400}, id="a field that is not finite"),
    ],
)
def test_what_a_caller_sent_is_repeated_in_part(kind, value):
    body = json.dumps(value).replace("Infinity", "1e999").encode()
    with pytest.raises(InvalidInput) as refused:
        Codec(kind, int).decode(body, JSON)
    error = refused.value
    assert len(error.detail) < 1500
    assert "…" in error.detail
    assert len(error.errors) == min(len(value), MAX_FIELD_ERRORS)
    assert all(len(one["field"]) <= 200 and len(one["message"]) <= 200 for one in error.errors)


def test_where_an_output_holds_nan_is_told_in_part():
    with pytest.raises(FunctionFailed) as failed:
        Codec(int, dict[str, float]).encode({"k" * 290_000: math.nan})
    assert len(failed.value.detail) < 300


def test_an_authors_validator_that_raises_is_the_functions_failure():
    with pytest.raises(FunctionFailed):
        decode(Inverse, b'{"number": 0}')


@pytest.mark.parametrize(
    ("kind", "output", "body"),
    [
        pytest.param(Line, Line(text="ü"), '{"text":"ü","weight":1.0}', id="a model"),
        pytest.param(Line, {"text": "x"}, '{"text":"x","weight":1.0}', id="a dict for a model"),
        pytest.param(Any, {"a": [None, True, 1, 0.1]}, '{"a":[null,true,1,0.1]}', id="plain values"),
        pytest.param(Any, "NaN null Infinity", '"NaN null Infinity"', id="words that look like numbers"),
        pytest.param(Point, Point(1), '{"x":1}', id="a dataclass"),
        pytest.param(float | None, None, "null", id="none"),
        pytest.param(float, np.float32(1.5), "1.5", id="np.float32 for a float"),
        pytest.param(int, np.int64(3), "3", id="np.int64 for an int"),
        pytest.param(list[float], [np.float32(0.5)], "[0.5]", id="a list of np.float32"),
        pytest.param(str, 'say "ü"', 'say "ü"', id="text as it is"),
    ],
)
def test_an_output_is_encoded(kind, output, body):
    assert encode(kind, output) == body.encode()


def test_bytes_are_given_as_they_are():
    assert encode(bytes, bytearray(b"\xff\x00")) == b"\xff\x00"


@pytest.mark.parametrize(
    ("kind", "output", "path"),
    [
        pytest.param(float, math.nan, "its root", id="a float"),
        pytest.param(Any, -math.inf, "its root", id="any"),
        pytest.param(list[float], [1.0, math.inf], r"\[1\]", id="a list"),
        pytest.param(Any, {"a": [1, (2, math.nan)]}, r"a\[1\]\[1\]", id="nested in any"),
        pytest.param(Line, Line(text="x", weight=math.nan), "weight", id="a model"),
        pytest.param(Page, Page(lines=[Line(text="x", weight=math.inf)]), r"lines\[0\].weight", id="a model in a model"),
        pytest.param(Point, Point(math.nan), "x", id="a dataclass"),
        pytest.param(Any, [Point([math.nan])], r"\[0\]\.x\[0\]", id="a dataclass in any"),
        pytest.param(float, np.float32("nan"), "its root", id="np.float32"),
        pytest.param(Any, np.float64("inf"), "its root", id="np.float64"),
    ],
)
def test_an_output_that_holds_nan_is_the_functions_failure(kind, output, path):
    with pytest.raises(FunctionFailed, match=f"holds NaN or Infinity at {path}, which JSON has no words for"):
        encode(kind, output)


@pytest.mark.parametrize(
    ("kind", "output"),
    [
        pytest.param(deque[float], deque([math.nan]), id="a deque"),
        pytest.param(Half, Half(whole=1), id="a computed field"),
    ],
)
def test_nan_in_an_output_never_becomes_null(kind, output):
    with pytest.raises(FunctionFailed):
        encode(kind, output)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("kind", "output"),
    [
        pytest.param(int, "many", id="text for an int"),
        pytest.param(str, 5, id="an int for text"),
        pytest.param(Line, None, id="nothing for a model"),
        pytest.param(Line, {"text": ""}, id="a constraint of the output"),
        pytest.param(Any, object(), id="an object of no kind"),
        pytest.param(Any, np.float32(1), id="np.float32 for any"),
        pytest.param(Any, np.zeros(2), id="np.ndarray for any"),
        pytest.param(str, "\ud800", id="text with a lone surrogate"),
        pytest.param(Any, ["\ud800"], id="json with a lone surrogate"),
        pytest.param(Any, b"\xff", id="bytes in json"),
        pytest.param(Any, nested(100_000), id="nested 100,000 deep"),
        pytest.param(Any, endless(), id="a list that holds itself"),
    ],
)
def test_an_output_that_does_not_fit_is_the_functions_failure(kind, output):
    with pytest.raises(FunctionFailed, match="The output does not fit the return type"):
        encode(kind, output)


def test_an_authors_validator_that_raises_on_an_output_is_the_functions_failure():
    with pytest.raises(FunctionFailed):
        encode(Inverse, {"number": 0})


def test_an_authors_serializer_that_raises_is_the_functions_failure():
    with pytest.raises(FunctionFailed):
        encode(Shouted, Shouted(text="goodbye"))


def test_schemas_are_those_of_validation_and_serialization():
    taken, given_ = Codec(Half, Half).schemas()
    assert (list(taken["properties"]), list(given_["properties"])) == (["whole"], ["whole", "half"])


def test_an_outputs_schema_requires_what_is_always_written():
    taken, given_ = Codec(Letter, Letter).schemas()
    assert taken["required"] == ["recipient"]
    assert given_["required"] == list(given_["properties"]) == ["recipient", "stamps", "lines", "parcel"]
    assert given_["$defs"]["Parcel"]["required"] == ["weight"]


def test_an_output_has_the_names_of_its_schema_and_is_an_input_again():
    body = encode(Letter, {"recipient": "Ada"})
    assert json.loads(body) == {"recipient": "Ada", "stamps": 1, "lines": [], "parcel": None}
    assert decode(Letter, body) == Letter(recipient="Ada")


@pytest.mark.parametrize("kind", [np.ndarray, 5, Unready], ids=["np.ndarray", "no type", "an undefined name"])
def test_a_type_that_can_not_be_validated_is_a_definition_error(kind):
    with pytest.raises(DefinitionError, match="can't be validated"):
        Codec(kind, str)


def test_a_type_without_a_json_schema_is_a_definition_error():
    with pytest.raises(DefinitionError):
        Codec(Callable[[int], int], str).schemas()


@pytest.mark.parametrize(
    ("value", "media_type", "body"),
    [
        pytest.param(b"\x00\xff", BINARY, b"\x00\xff", id="bytes as they are"),
        pytest.param(memoryview(b"ab"), BINARY, b"ab", id="a view of bytes"),
        pytest.param("über", JSON, '"über"'.encode(), id="text as a string"),
        pytest.param({"a": [1, None]}, JSON, b'{"a":[1,null]}', id="an object"),
        pytest.param(Line(text="x"), JSON, b'{"text":"x","weight":1.0}', id="a model"),
        pytest.param([Point(1)], JSON, b'[{"x":1}]', id="dataclasses"),
        pytest.param("NaN", JSON, b'"NaN"', id="a word that is no number"),
    ],
)
def test_any_value_is_sent_as_bytes_or_json(value, media_type, body):
    assert to_body(value) == (media_type, body)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        pytest.param(np.zeros(2), "ndarray can't be written as JSON: .*Send what JSON can say: for an array array.tolist", id="an array"),
        pytest.param({"a": [1, math.nan]}, r"NaN or Infinity at a\[1\]", id="NaN"),
        pytest.param(math.inf, "NaN or Infinity at its root", id="infinity"),
        pytest.param("\ud800", "str can't be written as JSON", id="a lone surrogate"),
        pytest.param(Shouted(text="goodbye"), "Shouted can't be written as JSON", id="a serializer that raises"),
    ],
)
def test_a_value_that_json_has_no_words_for_is_not_sent(value, told):
    with pytest.raises(FunctionFailed, match=told):
        to_body(value)


@pytest.mark.parametrize(
    ("body", "media_type", "value"),
    [
        pytest.param(b"\x00\xff", BINARY, b"\x00\xff", id="bytes as they are"),
        pytest.param("über".encode(), TEXT, "über", id="text"),
        pytest.param(b'{"a": [1]}', JSON, {"a": [1]}, id="json parsed"),
    ],
)
def test_a_body_is_read_by_its_media_type(body, media_type, value):
    assert from_body(body, media_type) == value
