import logging

import pytest

from servelite.worker.prints import Prints


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        pytest.param(["one\n"], ["one"], id="a line"),
        pytest.param(["on", "e\ntwo\n"], ["one", "two"], id="pieces"),
        pytest.param(["one\n\n"], ["one", ""], id="an empty line"),
        pytest.param(["begun"], [], id="a line that is not ended"),
        pytest.param(["begun", None], ["begun"], id="a line that is flushed"),
        pytest.param([None], [], id="nothing to flush"),
        pytest.param(["100 %s\n"], ["100 %s"], id="no format"),
    ],
)
def test_what_is_printed_becomes_lines_of_the_log(caplog, written, lines):
    caplog.set_level(logging.INFO)
    prints = Prints(logging.getLogger("servelite.function.f"), "f")
    for text in written:
        if text is None:
            prints.flush()
        else:
            print(text, end="", file=prints)
    assert [one.getMessage() for one in caplog.records] == lines
    assert {one.function for one in caplog.records} <= {"f"}
