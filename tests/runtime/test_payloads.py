import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.errors import FunctionFailed, InvalidInput, MalformedJson
from servelite.core.function import BINARY, JSON, TEXT
from servelite.runtime import payloads
from servelite.runtime.payloads import Payload, as_media, in_json, items_of, list_of, object_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
SPACES = st.sampled_from([None, 0, 1, "\t", " \r "])


def cut(text: str) -> list[bytes]:
    return [item.body for item in items_of(Payload(text.encode(), JSON))]


@given(st.lists(VALUES, max_size=6), SPACES, st.booleans())
def test_a_list_is_cut_into_its_items(values, indent, ascii_only):
    written = json.dumps(values, indent=indent, ensure_ascii=ascii_only)
    assert [json.loads(item) for item in cut(f" \n{written}\t ")] == values


@given(st.lists(VALUES, max_size=6))
def test_what_is_cut_and_joined_again_is_the_same(values):
    written = json.dumps(values, separators=(",", ":")).encode()
    assert list_of(items_of(Payload(written, JSON))) == Payload(written, JSON)


def test_an_item_is_passed_on_as_it_is_written():
    assert cut('[1e2, 1.50, "\\u0041", 123456789012345678901234567890' + "1" * 5000 + "]") == [
        b"1e2",
        b"1.50",
        b'"\\u0041"',
        b"123456789012345678901234567890" + b"1" * 5000,
    ]


WRONG = [
    "",
    " ",
    "[",
    "]",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1]]",
    "[1]x",
    "[1],",
    "{",
    "[nul]",
    "[NaN]",
    "[1, Infinity]",
    "NaN",
    "x",
]


@pytest.mark.parametrize("text", [*WRONG, '["\n"]', "[" * 100_000])
def test_what_is_no_json_is_the_callers_fault_or_the_stages(text):
    with pytest.raises(MalformedJson, match="The body is not strict JSON"):
        items_of(Payload(text.encode(), JSON, is_callers=True))
    with pytest.raises(FunctionFailed, match="What came out of the stage before is not strict JSON"):
        items_of(Payload(text.encode(), JSON))


def test_what_is_not_utf8_is_no_json():
    with pytest.raises(MalformedJson):
        items_of(Payload(b'["\xff"]', JSON, is_callers=True))


@given(st.text(alphabet='[]{},:"1 nultrefas\\', max_size=20))
def test_a_list_is_cut_if_python_reads_it_as_one_and_refused_else(text):
    try:
        wanted = json.loads(text)
    except ValueError:
        wanted = None
    if isinstance(wanted, list):
        assert [json.loads(item) for item in cut(text)] == wanted
    else:
        with pytest.raises(FunctionFailed):
            cut(text)


@pytest.mark.parametrize("text", ["{}", '"a"', "1", "null", '{"a": [1]}'])
def test_what_is_no_list_is_told(text):
    with pytest.raises(InvalidInput, match=r"input: a list is wanted \(it is ") as caught:
        items_of(Payload(text.encode(), JSON, is_callers=True))
    assert caught.value.errors == ({"field": "", "message": "a list is wanted", "rule": "pipeline_input"},)
    with pytest.raises(FunctionFailed, match="is not what is needed: a list is wanted"):
        items_of(Payload(text.encode(), JSON))


def test_text_and_bytes_are_no_lists():
    with pytest.raises(InvalidInput, match="a list is wanted, as JSON"):
        items_of(Payload(b"[1]", TEXT, is_callers=True))


def test_a_list_has_so_many_items_at_most():
    most = "[" + ",".join("0" for _ in range(payloads.MOST_ITEMS)) + "]"
    assert len(cut(most)) == payloads.MOST_ITEMS
    with pytest.raises(InvalidInput, match=r"a list has at most 10,000 items \(it is \[0,0,0,.*…\)"):
        items_of(Payload(most.replace("]", ",0]").encode(), JSON, is_callers=True))


def test_what_a_caller_sent_stays_a_callers():
    assert [item.is_callers for item in items_of(Payload(b"[1]", JSON, is_callers=True))] == [True]
    assert as_media(Payload(b'"aGk="', JSON, is_callers=True), (BINARY,)).is_callers


@pytest.mark.parametrize(
    ("given", "takes", "body", "media_type"),
    [
        pytest.param(Payload(b"hi", TEXT), (TEXT, JSON), b"hi", TEXT, id="text as text"),
        pytest.param(Payload(b'"hi"', JSON), (TEXT, JSON), b'"hi"', JSON, id="JSON as JSON, though text would do"),
        pytest.param(Payload("é".encode(), TEXT), (JSON,), '"é"'.encode(), JSON, id="text as JSON"),
        pytest.param(Payload(b'"h\\u00e9"', JSON), (TEXT,), "hé".encode(), TEXT, id="JSON as text"),
        pytest.param(Payload(b"\xff", BINARY), (JSON,), b'"/w=="', JSON, id="bytes as JSON"),
        pytest.param(Payload(b'"/w=="', JSON), (BINARY, "image/*"), b"\xff", BINARY, id="JSON as bytes"),
        pytest.param(Payload(b"/w==", TEXT), (BINARY,), b"\xff", BINARY, id="text as bytes"),
        pytest.param(Payload(b"\xff", "image/png"), (BINARY, "image/*"), b"\xff", "image/png", id="an image as it came"),
    ],
)
def test_a_payload_is_had_as_its_taker_takes_it(given, takes, body, media_type):
    assert as_media(given, takes) == Payload(body, media_type)


@given(st.binary())
def test_bytes_are_the_same_after_json(data):
    assert as_media(Payload(in_json(Payload(data, BINARY)), JSON), (BINARY,)).body == data


@given(st.text())
def test_text_is_the_same_after_json(text):
    assert as_media(Payload(in_json(Payload(text.encode(errors="replace"), TEXT)), JSON), (TEXT,)).body == text.encode(errors="replace")


@pytest.mark.parametrize(
    ("given", "takes", "told"),
    [
        pytest.param(Payload(b'"a"', JSON), (BINARY,), "bytes are wanted, written as base64", id="no base64"),
        pytest.param(Payload(b"5", JSON), (TEXT,), "a text is wanted", id="no text"),
        pytest.param(Payload(b"5", JSON), (BINARY,), "a text is wanted", id="no base64 either"),
        pytest.param(Payload(b"\xff", TEXT), (JSON,), "not UTF-8 text", id="no UTF-8"),
    ],
)
def test_what_can_not_be_had_so_is_the_callers_fault_or_the_stages(given, takes, told):
    with pytest.raises(FunctionFailed, match=told):
        as_media(given, takes)
    with pytest.raises((InvalidInput, MalformedJson), match=told):
        as_media(given._replace(is_callers=True), takes)


def test_an_object_has_outputs_by_name():
    outputs = [Payload(b"1", JSON), Payload(b"hi", TEXT), Payload(b"\xff", BINARY)]
    assert object_of(["a", 'b"', "c"], outputs) == Payload(b'{"a":1,"b\\"":"hi","c":"/w=="}', JSON)
    assert json.loads(object_of([], []).body) == {}
    assert base64.b64decode(json.loads(list_of(outputs).body)[2]) == b"\xff"
