import json
import logging
import sys

import pytest

from servelite.core.logs import FIELDS, JsonFormatter, TextFormatter, log_handler

HOSTILE = 'a\n{"level": "fake"}\x1b[2J\u2028\x00'


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("servelite.test", logging.WARNING, "file", 1, "%s", (message,), None)
    vars(made).update(extra)
    return made


def failed() -> logging.LogRecord:
    made = record("it failed", function="f")
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        made.exc_info = sys.exc_info()
    return made


def test_a_line_is_one_object_with_what_is_known():
    line = json.loads(
        JsonFormatter().format(record("hello", function="f", worker=7, call="1a", reason="idle", took_ms=3, other="left out"))
    )
    assert {name: line[name] for name in ("level", "logger", "message")} == {
        "level": "warning",
        "logger": "servelite.test",
        "message": "hello",
    }
    assert {name: line[name] for name in FIELDS if name in line} == {
        "function": "f",
        "worker": 7,
        "call": "1a",
        "reason": "idle",
        "took_ms": 3,
    }
    assert line["time"].endswith("+00:00")
    assert "other" not in line


@pytest.mark.parametrize("made", [record(HOSTILE), failed()], ids=["in the message", "in a traceback"])
def test_what_others_wrote_stays_within_its_line_and_comes_back_as_it_was(made):
    text = JsonFormatter().format(made)
    assert len(text.splitlines()) == 1
    assert text.isascii()
    assert text.isprintable()
    assert HOSTILE in " ".join(map(str, json.loads(text).values()))


def test_people_read_a_sentence_that_moves_no_cursor():
    text = TextFormatter().format(record(HOSTILE))
    assert text == r'servelite: a\n{"level": "fake"}\x1b[2J\u2028\x00'
    assert "\x1b" not in TextFormatter().format(failed())


@pytest.mark.parametrize(
    ("message", "line"),
    [("doing it", "servelite: scorer: doing it"), ("a worker of scorer ends", "servelite: a worker of scorer ends")],
    ids=["named in front", "named already"],
)
def test_people_are_told_which_function(message, line):
    assert TextFormatter().format(record(message, function="scorer")) == line


@pytest.mark.parametrize(("is_terminal", "kind"), [(True, TextFormatter), (False, JsonFormatter)])
def test_a_terminal_gets_sentences_and_a_program_objects(is_terminal, kind):
    assert type(log_handler(is_terminal=is_terminal).formatter) is kind
