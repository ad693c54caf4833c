"""Functions that one process imports keep their own modules apart."""

import sys
from textwrap import dedent

from servelite.core.call import Call
from servelite.worker.loader import load
from servelite.worker.runner import Runner

SAYS = """
    from labels import LABEL
    from servelite import function

    @function
    def say(text: str) -> str:
        return LABEL
"""


def test_two_functions_may_have_modules_of_the_same_name(write_function):
    one = load(write_function("one", SAYS, {"labels.py": "LABEL = 'one'"}))
    two = load(write_function("two", SAYS, {"labels.py": "LABEL = 'two'"}))
    said = [Runner(function).run([Call("1", function.name, "text/plain", b"x")]).outcomes[0].body for function in (one, two)]
    assert said == [b"one", b"two"]


def test_the_packages_of_an_environment_are_shared_by_all_that_run_in_it(write_function, monkeypatch):
    one = write_function("one", "import package_of_one\n" + dedent(SAYS), {"labels.py": "LABEL = 'one'"})
    (one / ".venv").mkdir()
    (one / ".venv" / "package_of_one.py").touch()
    monkeypatch.syspath_prepend(one / ".venv")
    load(one)
    package = sys.modules["package_of_one"]
    load(write_function("two", "import package_of_one\n" + dedent(SAYS), {"labels.py": "LABEL = 'two'"}))
    assert sys.modules["package_of_one"] is package


def test_an_error_about_the_folder_inside_a_call_stays_in_the_log(write_function):
    source = """
        from servelite import function, load_onnx

        @function
        def lazy(text: str) -> str:
            return str(load_onnx("missing.onnx"))
    """
    runner = Runner(load(write_function("lazy", source)))
    (outcome,) = runner.run([Call("1", "lazy", "text/plain", b"x")]).outcomes
    assert outcome.error is not None
    assert outcome.error.code == "function_failed"
    assert "missing" not in outcome.error.detail


def test_a_validator_may_speak_to_the_caller(write_function):
    source = """
        from pydantic import BaseModel, field_validator
        from servelite import InvalidInput, function

        class Even(BaseModel):
            number: int

            @field_validator("number")
            @classmethod
            def check(cls, number: int) -> int:
                if number % 2:
                    raise InvalidInput("Odd numbers are not taken. Send an even one.")
                return number

        @function
        def halve(even: Even) -> int:
            return even.number // 2
    """
    runner = Runner(load(write_function("halve", source)))
    (outcome,) = runner.run([Call("1", "halve", "application/json", b'{"number": 3}')]).outcomes
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.detail) == ("invalid_input", "Odd numbers are not taken. Send an even one.")
