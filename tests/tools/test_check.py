"""What `check` says of a function; each runs in a worker process, as it would be served."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from servelite.core.errors import DefinitionError
from servelite.tools.check import Verdict, check

SCALE = """
    import ctypes, os, time
    from servelite import InvalidInput, function

    @function({limits})
    def scale(values: list[float]) -> list[float]:
        {body}
"""
EXAMPLES = '{"input": 1, "output": 2}\n{"input": 0.5, "output": 1.0}\n{"input": 2}\n'


def checked(write_function: Any, body: str, limits: str = "max_batch=8", examples: str = EXAMPLES, card: str = "") -> dict[str, Verdict]:
    """Check a function whose `values` are answered by a line of Python."""
    folder = write_function("scale", SCALE.format(limits=limits, body=body), {"examples.jsonl": examples, "card.toml": card})
    return {verdict.check: verdict for verdict in asyncio.run(check(folder))}


def test_a_good_function_passes_every_check(write_function):
    card = "[measured]\naccuracy = 0.83\n[acceptance]\naccuracy = 0.8\n"
    verdicts = checked(write_function, "return [2 * value for value in values]", card=card)
    assert list(verdicts) == ["types", "examples", "time", "batches", "card"]
    assert {verdict.result for verdict in verdicts.values()} == {"passed"}
    assert verdicts["examples"].says == "Answered: 3; compared with a written output: 2."
    assert verdicts["batches"].says == "3 inputs are answered alone as they are in batches of up to 8."
    assert verdicts["card"].says == "accuracy 0.83: bars cleared."


def test_what_there_is_nothing_to_check_of_is_skipped(write_function):
    folder = write_function("shout", "from servelite import function\n\n@function\ndef shout(text: str) -> str:\n    return text.upper()\n")
    (folder / "examples.jsonl").write_text('{"input": "a", "output": "A"}\n')
    verdicts = {verdict.check: verdict for verdict in asyncio.run(check(folder))}
    assert [verdict.result for verdict in verdicts.values()] == ["passed", "passed", "passed", "skipped", "skipped"]


@pytest.mark.parametrize(
    ("body", "examples", "says"),
    [
        ("return [2 * value for value in values]", "", "There is none."),
        ("return [3 * value for value in values]", EXAMPLES, "Input 1: the output is 3.0, not 2 (1 apart). Input 2: "),
        ("return [2 * value for value in values]", '{"input": 1}\n{"input": "x"}\n', "Input 2 is answered invalid_input: "),
        ("return [InvalidInput('Not today.') for value in values]", EXAMPLES, "Input 1 is answered invalid_input: Not today."),
        ("return [value / (value - 2) for value in values]", '{"input": 2}\n', "Input 1 is answered function_failed: "),
        ("return [float('nan') for value in values]", EXAMPLES, "Input 1 is answered function_failed: "),
        ("return [value for value in values if value != 2 or os._exit(3)]", '{"input": 1}\n{"input": 2}\n', "worker_died: "),
        ("return [value for value in values if value != 2 or time.sleep(60)]", '{"input": 1}\n{"input": 2}\n', "timed_out: "),
    ],
    ids=["no examples", "a wrong output", "an invalid input", "a refused input", "an exception", "NaN", "a crash", "a hang"],
)
def test_examples_that_do_not_come_out_fail_with_the_reason(write_function, capfd, body, examples, says):
    verdicts = checked(write_function, body, "max_batch=8, timeout_s=0.5", examples)
    assert verdicts["examples"].result == "failed"
    assert says in verdicts["examples"].says
    if "Input 1:" not in says:
        assert verdicts["time"].result == verdicts["batches"].result == "skipped"
    assert ("holds NaN or Infinity" in capfd.readouterr().err) == ("nan" in body)


def test_many_reasons_are_told_in_part(write_function):
    verdicts = checked(write_function, "return values", examples='{"input": 1, "output": 2}\n' * 5)
    assert "Input 3: " in verdicts["examples"].says
    assert "Input 4: " not in verdicts["examples"].says
    assert "And 2 more." in verdicts["examples"].says


def test_an_answer_that_depends_on_its_batch_fails_with_who_and_by_how_much(write_function):
    examples = '{"input": 1, "output": 1}\n{"input": 2, "output": 1}\n'
    verdicts = checked(write_function, "return [value / max(values) for value in values]", examples=examples)
    assert verdicts["examples"].result == "passed"
    assert verdicts["batches"].result == "failed"
    assert verdicts["batches"].says.startswith("Input 1 beside input 2: the output is 0.5, not 1.0 (0.5 apart).")


def test_one_example_has_no_company_and_is_told(write_function):
    verdicts = checked(write_function, "return values", examples='{"input": 1}\n')
    assert verdicts["batches"].result == "warned"
    assert "Write a second" in verdicts["batches"].says


def test_a_run_that_is_close_to_its_limit_is_warned_of(write_function):
    wait = "time.sleep(0.55 if len(values) == 2 else 0) or values"
    verdicts = checked(write_function, f"return {wait}", "max_batch=2, timeout_s=1", '{"input": 1}\n')
    assert verdicts["time"].result == "warned"
    assert "That is close" in verdicts["time"].says


@pytest.mark.parametrize("deed", ["time.sleep(60)", "os._exit(3)", "ctypes.string_at(0)"], ids=["hangs", "exits", "crashes"])
def test_a_full_batch_that_ends_its_worker_fails(write_function, deed):
    verdicts = checked(write_function, f"return values if len(values) < 8 else {deed}", "max_batch=8, timeout_s=0.5")
    assert verdicts["examples"].result == "failed"  # they were answered, with other outputs than written
    assert verdicts["time"].result == "failed"
    assert "8 times input" in verdicts["time"].says
    assert verdicts["batches"].result == "skipped"


def test_two_that_end_their_worker_together_fail(write_function):
    verdicts = checked(write_function, "return values if {1, 2} != set(values) else os._exit(3)")
    assert verdicts["time"].result == "passed"
    assert "A batch of input 1, input 3 ended its worker" in verdicts["batches"].says


def test_a_figure_below_its_bar_fails(write_function):
    card = "[measured]\naccuracy = 0.7\n[acceptance]\naccuracy = 0.8\nf1 = 0.5\n"
    says = checked(write_function, "return values", card=card)["card"]
    assert says.result == "failed"
    assert "accuracy is 0.7, below its bar of 0.8" in says.says
    assert "[measured] has no such figure" in says.says


def test_a_worker_that_dies_before_it_is_ready_fails(write_function):
    folder = write_function("dead", "import os\nos._exit(3)\n")
    (verdict,) = asyncio.run(check(folder))
    assert (verdict.check, verdict.result) == ("types", "failed")
    assert "exited with code 3" in verdict.says


def test_a_folder_that_can_t_be_loaded_is_a_definition_error(write_function):
    with pytest.raises(DefinitionError, match=r"handler\.py:1: "):
        asyncio.run(check(write_function("broken", "import")))


def test_nothing_is_written_beside_the_function(write_function, tmp_path: Path):
    before = set(tmp_path.rglob("*"))
    checked(write_function, "return values")
    assert {file.name for file in set(tmp_path.rglob("*")) - before if file.is_file() and file.suffix != ".pyc"} == {
        "handler.py",
        "examples.jsonl",
        "card.toml",
    }


ASKS = """
    from servelite import Context, function

    @function(max_batch=4)
    def asks(numbers: list[int], contexts: list[Context]) -> list[int]:
        return [context.call("{called}", number) + 1 for number, context in zip(numbers, contexts, strict=True)]
"""


def test_what_a_handler_calls_is_looked_for_beside_it(write_function):
    write_function("twice", "from servelite import function\n\n@function\ndef twice(number: int) -> int:\n    return 2 * number\n")
    examples = {"examples.jsonl": '{"input": 1, "output": 3}\n{"input": 2, "output": 5}\n'}
    folder = write_function("asks", ASKS.format(called="twice"), examples)
    verdicts = {verdict.check: verdict for verdict in asyncio.run(check(folder))}
    assert [verdict.result for verdict in verdicts.values()] == ["passed", "passed", "passed", "passed", "skipped"]


def test_what_a_handler_calls_and_stands_nowhere_is_told(write_function):
    folder = write_function("asks", ASKS.format(called="nothing"), {"examples.jsonl": '{"input": 1}\n'})
    verdicts = {verdict.check: verdict for verdict in asyncio.run(check(folder))}
    assert "No function named 'nothing' stands beside asks, which calls it. Put its folder there." in verdicts["examples"].says
