"""A plan knows what it packs, and says all that will be done."""

from pathlib import Path

import pytest

from servelite.core.errors import DefinitionError
from servelite.tools.packaging.making import place_own
from servelite.tools.packaging.plan import plan_lines
from servelite.tools.packaging.target import Target, default_target, here
from tests.tools.packaging.trees import write_files

PIPELINE = '''
    """Two echoes."""
    from servelite import sequence

    pipeline = sequence("echo", "second")
'''


@pytest.fixture
def pipeline(write_function, write_echo) -> Path:
    """Return a pipeline of two functions beside it."""
    write_echo("echo")
    write_echo("second", timeout_s=9)
    return write_function("both", PIPELINE, {"examples.jsonl": '{"input": "hello"}\n'})


def test_stages_come_along(pipeline, make_plan_of):
    contents = make_plan_of(pipeline).contents
    assert (contents.named, sorted(contents.folders)) == (("both",), ["both", "echo", "second"])


def test_the_first_path_is_where_events_go_that_name_none(pipeline, make_plan_of):
    assert make_plan_of(pipeline.parent / "second", pipeline).contents.named == ("second", "both")


def test_of_a_folder_of_functions_it_is_the_first_that_is_no_stage(pipeline, write_echo, make_plan_of):
    write_echo("alone")
    assert make_plan_of(pipeline.parent).contents.title == "alone"
    (pipeline.parent / "alone" / "handler.py").unlink()
    assert make_plan_of(pipeline.parent).contents.named == ("both", "echo", "second")


def test_a_function_without_examples_can_t_be_proven(write_echo, make_plan_of):
    folder = write_echo()
    (folder / "examples.jsonl").unlink()
    with pytest.raises(DefinitionError, match=r"echo has no examples\.jsonl, by which the package of echo is proven"):
        make_plan_of(folder)


def test_a_plan_says_each_step_and_does_nothing(write_echo, make_plan_of, tmp_path):
    folder = write_echo()
    write_files(folder, {"train.py": "", "requirements.txt": "# nothing\n"})
    plan = make_plan_of(folder)
    lines = dict(line.split(": ", 1) for line in plan_lines(plan))
    assert lines["package"] == f"echo for AWS Lambda, Python {plan.target.python} on {plan.target.arch}, into {tmp_path}/build/echo.zip"
    assert lines["check"] == f"servelite check {folder}"
    assert lines["leave out"] == f"{folder}/requirements.txt (installed), {folder}/train.py (handler.py does not import it)"
    assert lines["resolve"].endswith("-r requirements.txt")
    assert "numpy" not in lines["resolve"]
    assert lines["write"] == f"{tmp_path}/build/echo.zip, the same bytes each time, and {tmp_path}/build/template.yaml"
    assert not plan.out.exists()


def test_a_package_for_another_processor_is_proven_by_one_for_this(write_echo, make_plan_of):
    other = Target(default_target().python, next(arch for arch in ("arm64", "x86_64") if arch != here().arch))
    plan = make_plan_of(write_echo(), target=other)
    assert (plan.proving.arch, plan.is_proven_as_it_is) == (here().arch, False)
    proof = next(line for line in plan_lines(plan) if line.startswith("prove: "))
    assert f"in a tree for this machine, cut alike (Python {plan.proving.python} on {here().arch})" in proof


def test_without_the_target_s_python_it_is_proven_by_the_running_one_and_not_compiled(write_echo, make_plan_of):
    plan = make_plan_of(write_echo(), target=Target("3.99", here().arch))
    assert (plan.python, plan.proving) == (None, here())
    assert any(line.startswith("compile: nothing, for there is no Python 3.99 here") for line in plan_lines(plan))


def test_settings_come_along_and_wrong_ones_are_told_before(write_echo, make_plan_of, tmp_path, monkeypatch):
    folder = write_echo()
    monkeypatch.chdir(tmp_path)
    assert make_plan_of(folder).settings is None
    (tmp_path / "servelite.toml").write_text("[tariff]\npreset = 'lambda-arm'\n")
    plan = make_plan_of(folder)
    assert "settings: servelite.toml" in plan_lines(plan)
    place_own(tmp_path / "tree", plan.contents.folders, plan.settings)
    assert (tmp_path / "tree" / "servelite.toml").read_text() == (tmp_path / "servelite.toml").read_text()
    (tmp_path / "servelite.toml").write_text("[tarif]\n")
    with pytest.raises(DefinitionError, match=r"servelite\.toml"):
        make_plan_of(folder)
