"""Tests of this function; run them with: pytest"""

from pathlib import Path

import pytest

from servelite import InvalidInput
from servelite.testing import FunctionClient

FOLDER = Path(__file__).parent


def test_the_examples_come_out_as_written() -> None:
    with FunctionClient(FOLDER) as client:
        for example in client.examples:
            assert client.call(example["input"]) == example["output"]


def test_an_empty_name_is_refused() -> None:
    with FunctionClient(FOLDER) as client, pytest.raises(InvalidInput, match="name"):
        client.call({"name": ""})
