"""The race against the peers: what is made of its samples, how inputs travel, what the page says, and short races."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from tests.server import until

ROOT = Path(__file__).parents[2]
PEERS = ROOT / "loadtests" / "peers"
ON = {
    "date": "2026-11-27",
    "cpu": "Some CPU",
    "cores": 2,
    "ram_gib": 23,
    "kernel": "Linux 6",
    "python": "3.11.7",
    "rounds": 1,
    "seconds": 3,
}


@pytest.fixture(scope="module")
def race() -> Iterator[SimpleNamespace]:
    """Return the race's modules, which stand in folders that only its scripts see."""
    before = list(sys.path)
    sys.path += [str(PEERS), str(PEERS.parent)]
    try:
        names = ("contestants", "machine", "onnx_file", "page", "results", "running", "works")
        yield SimpleNamespace(**{name: _module(name) for name in names})
    finally:
        sys.path[:] = before


def _module(name: str) -> ModuleType:
    return importlib.import_module(name)


@pytest.fixture
def stint(race: SimpleNamespace) -> Any:
    """Return a maker of stints: stint("Mosec", 1000.0) is one of a peer at echo, with a thousand requests a second at 16 clients."""

    def make(name: str, per_s: float, **changes: Any) -> Any:
        kind = {"servelite": "servelite", "bare": "limit"}.get(name, "serves models")
        load = race.results.LoadResult(16, per_s, 1e6 / per_s, 2e6 / per_s, 0, 100, 1e5 / per_s, 0.3, 0.1)
        result = race.results.StintResult(name, "", kind, "echo", 0, first_200_ms=500.0, pss_mib=80.0, loads=(load,))
        return result.but(**changes)

    return make


def rows(race: SimpleNamespace, stints: list[Any], measure: str = "") -> list[Any]:
    found: list[Any] = race.results.rows(stints, "servelite", "limit")
    return [row for row in found if measure in {"", row.measure.name}]


def test_a_ratio_above_one_means_that_servelite_is_better_whatever_is_measured(race: SimpleNamespace, stint: Any) -> None:
    found = rows(race, [stint("servelite", 2000.0), stint("Mosec", 1000.0)])
    assert {row.measure.name: round(row.worst_ratio, 3) for row in found} == {
        "requests/s": 2.0,
        "p50": 2.0,
        "p99": 2.0,
        "CPU a request": 2.0,
        "memory (PSS)": 1.0,
        "first 200": 1.0,
    }


def test_the_median_of_the_rounds_counts(race: SimpleNamespace, stint: Any) -> None:
    ours = [stint("servelite", per_s, round=number) for number, per_s in enumerate((900.0, 1000.0, 5000.0))]
    (row,) = rows(race, [*ours, stint("Mosec", 1000.0)], "requests/s")
    assert row.ours.value == 1000.0
    assert row.is_first


def test_the_fastest_setting_stands_for_a_peer_also_where_another_has_the_better_latency(race: SimpleNamespace, stint: Any) -> None:
    fast, quick = stint("Mosec", 3000.0, setting="fast"), stint("Mosec", 1000.0, setting="quick")
    quick = quick.but(loads=(quick.loads[0].__class__(16, 1000.0, 1.0, 1.0, 0, 100, 1.0, 0.3, 0.1),))
    found = rows(race, [stint("servelite", 2000.0), fast, quick])
    assert {entry.setting for row in found if row.clients for entry in row.others} == {"fast"}


def test_the_smallest_setting_stands_for_a_peer_in_memory(race: SimpleNamespace, stint: Any) -> None:
    large, small = stint("Mosec", 3000.0, setting="large", pss_mib=300.0), stint("Mosec", 1.0, setting="small", pss_mib=40.0)
    (row,) = rows(race, [stint("servelite", 2000.0), large, small], "memory (PSS)")
    assert (row.rival.setting, row.worst_ratio) == ("small", 0.5)


def test_a_limit_is_shown_and_wins_nothing(race: SimpleNamespace, stint: Any) -> None:
    (row,) = rows(race, [stint("servelite", 2000.0), stint("Mosec", 1000.0), stint("bare", 90_000.0)], "requests/s")
    assert row.is_first
    assert [entry.name for entry in row.limits] == ["bare"]


def test_rows_where_servelite_is_not_first_come_first_and_the_worst_before_all(race: SimpleNamespace, stint: Any) -> None:
    echo = [stint("servelite", 2000.0), stint("Mosec", 1000.0)]
    tiny = [stint("servelite", 900.0, work="tiny"), stint("Mosec", 1000.0, work="tiny")]
    medium = [stint("servelite", 500.0, work="medium"), stint("Mosec", 1000.0, work="medium")]
    found = rows(race, [*echo, *tiny, *medium], "requests/s")
    assert [row.work for row in found] == ["medium", "tiny", "echo"]


def test_settings_that_are_slow_everywhere_rest_after_the_first_round(race: SimpleNamespace, stint: Any) -> None:
    best, near, slow = (stint("Mosec", per_s, setting=name) for name, per_s in (("best", 1000.0), ("near", 900.0), ("slow", 500.0)))
    assert race.results.worth_more([best, near, slow], 0.85) == {("Mosec", "best", "echo"), ("Mosec", "near", "echo")}


def test_who_did_not_run_is_on_the_page_with_the_reason(race: SimpleNamespace, stint: Any) -> None:
    stints = [stint("servelite", 2000.0), stint("Mosec", 1000.0), stint("Ray Serve", 1.0, loads=(), error="It ended with 1 | at once.")]
    page = race.page.as_page({**ON, "packages": {}}, rows(race, stints), stints)
    assert "| Ray Serve (as it comes), echo | It ended with 1 / at once. |" in page
    assert all("Ray Serve" not in {entry.name for entry in row.others} for row in rows(race, stints))


def test_the_page_has_the_machine_the_versions_and_what_servelite_loses(race: SimpleNamespace, stint: Any) -> None:
    stints = [stint("servelite", 500.0), stint("Mosec", 1000.0, wrong=3)]
    packages = {"servelite": {"servelite": "0.1.0"}, "Mosec": {"mosec": "0.9.8", "onnxruntime": "1.27.0"}}
    page = race.page.as_page({**ON, "packages": packages}, rows(race, stints), stints)
    assert "| processor | Some CPU, 2 cores |" in page
    assert "| Mosec | serves models | 0.9.8 | 1.27.0 | 2 |" in page
    assert "| requests/s | echo | 16 | 500 | Mosec | 1,000 | **0.50** |" in page
    assert "| Mosec | 100 | 0 | 3 |" in page
    assert page.index("not first: 4 of 6") < page.index("## Requests/s")


def test_the_lines_for_the_terminal_are_ruled_off_where_servelite_begins_to_be_first(race: SimpleNamespace, stint: Any) -> None:
    stints = [stint("servelite", 2000.0), stint("Mosec", 1000.0, pss_mib=40.0)]
    lines = race.page.as_lines(rows(race, stints)).splitlines()
    assert lines[1].startswith("memory (PSS)")
    assert set(lines[2]) == {"-"}
    assert len(lines) == 1 + 6 + 1


def test_stints_are_kept_as_json_and_read_again(race: SimpleNamespace, stint: Any) -> None:
    one = stint("Mosec", 1000.0, wrong=1)
    assert race.results.StintResult.from_dict(json.loads(json.dumps(one.to_dict()))) == one


NUMBERS = {"features": [0.5, 1.5]}
V2_TEXT = {"inputs": [{"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": ["a text"]}]}
V2_NUMBERS = {"inputs": [{"name": "features", "shape": [1, 2], "datatype": "FP32", "data": [0.5, 1.5]}]}
CLASSES = {"probabilities": [0.25, 0.75]}


@pytest.mark.parametrize(
    ("dialect", "work", "given", "body", "answer"),
    [
        pytest.param("PLAIN", "echo", "a text", "a text", "a text", id="a text as it is"),
        pytest.param("PLAIN", "tiny", NUMBERS, NUMBERS, CLASSES, id="numbers as they are"),
        pytest.param("LIST", "tiny", NUMBERS, [NUMBERS], [CLASSES], id="numbers as a list of one"),
        pytest.param("V2", "echo", "a text", V2_TEXT, {"outputs": [{"data": ["a text"]}]}, id="a text in the Open Inference Protocol"),
        pytest.param("V2", "tiny", NUMBERS, V2_NUMBERS, {"outputs": [{"data": [0.25, 0.75]}]}, id="numbers in the Open Inference Protocol"),
    ],
)
def test_an_input_and_its_answer_travel(race: SimpleNamespace, dialect: str, work: str, given: Any, body: Any, answer: Any) -> None:
    spoken, work_ = race.works.Dialect[dialect], race.works.WORKS[work]
    assert json.loads(spoken.pack(work_, given)) == body
    assert spoken.unpack(work_, json.dumps(answer).encode()) == ("a text" if work == "echo" else [0.25, 0.75])


def test_a_text_comes_back_from_servelite_as_it_is(race: SimpleNamespace) -> None:
    assert race.works.Dialect.OURS.unpack(race.works.WORKS["echo"], b"a text") == "a text"


@pytest.mark.parametrize(
    ("expected", "answer", "right"),
    [
        pytest.param([0.25, 0.75], [0.25000001, 0.75], True, id="as close as float32 is"),
        pytest.param([0.25, 0.75], [0.26, 0.74], False, id="other probabilities"),
        pytest.param("a text", "a text", True, id="the same text"),
        pytest.param("a text", "another", False, id="another text"),
        pytest.param([0.25], "a text", False, id="another type"),
    ],
)
def test_an_answer_is_held_against_what_onnxruntime_gives(race: SimpleNamespace, expected: Any, answer: Any, right: bool) -> None:
    assert race.works.is_right(expected, answer) is right


def test_an_answer_of_another_length_is_none(race: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="longer"):
        race.works.is_right([0.5], [0.5, 0.5])


def test_each_contestant_has_requirements_a_program_and_a_label_of_its_own(race: SimpleNamespace) -> None:
    field = race.contestants.contestants()
    assert {one.home for one in field} == {file.stem for file in (PEERS / "requirements").glob("*.txt")}
    assert all(Path(part).exists() for one in field for part in one.command if part.endswith(".py") and "{" not in part)
    labels = [(one.label, work) for one in field for work in one.works]
    assert len(labels) == len(set(labels))


def test_the_model_of_tiny_is_what_its_train_py_makes(race: SimpleNamespace) -> None:
    made = race.onnx_file.classifier("tiny", (64, 10), np.random.default_rng(seed=64), scale=0.25)
    assert made == Path(race.works.WORKS["tiny"].model).read_bytes()


def test_layers_before_the_last_have_a_relu_behind_them(race: SimpleNamespace) -> None:
    model = race.onnx_file.classifier("deep", (3, 5, 2), np.random.default_rng(seed=1), scale=1.0)
    given = np.array([[1.0, -2.0, 0.5]], dtype=np.float32)
    (got,) = onnxruntime.InferenceSession(model).run(None, {"features": given})
    random = np.random.default_rng(seed=1)
    hidden = given @ random.normal(scale=np.sqrt(2 / 3), size=(3, 5)) + random.normal(size=5)
    scores = np.maximum(hidden, 0) @ random.normal(scale=1.0, size=(5, 2)) + random.normal(size=2)
    assert got == pytest.approx(np.exp(scores) / np.exp(scores).sum(), rel=1e-4)


def test_requirements_are_pinned_and_name_no_index() -> None:
    lines = [line for file in (PEERS / "requirements").glob("*.txt") for line in file.read_text(encoding="utf-8").splitlines()]
    assert lines
    assert all("==" in line and "://" not in line and not line.startswith("-") for line in lines)


def test_the_processor_is_read_as_the_kernel_names_it(race: SimpleNamespace) -> None:
    assert race.machine.cpu_model("processor : 0\nmodel name\t: A Fast One @ 3 GHz\nmodel name\t: another\n") == "A Fast One @ 3 GHz"


def test_all_processes_that_a_stint_started_are_found_by_its_mark(race: SimpleNamespace) -> None:
    program = "import subprocess, sys; subprocess.Popen(['cat'], stdin=0); print('up', flush=True); sys.stdin.read()"
    environment = {**os.environ, race.running.MARK: "this-test"}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], env=environment, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        until(lambda: len(race.running.family("this-test")) == 2)  # a program that has just been begun shows no environment yet
        assert process.pid in race.running.family("this-test")
        assert race.running.cpu_s(process.pid) > 0
    assert race.running.family("this-test-of-nobody") == []


@pytest.fixture
def race_at_hand(tmp_path: Path) -> list[str]:
    """Return the command of a race against Starlette; this environment has all that the two need."""
    if shutil.which("wrk") is None:
        pytest.skip("wrk is not installed: apt-get install wrk")
    for name in ("servelite", "starlette"):
        python = tmp_path / "venvs" / name / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
        python.chmod(0o755)
    places = ["--venvs", str(tmp_path / "venvs"), "--json", str(tmp_path / "race.json"), "--page", str(tmp_path / "page.md")]
    return [sys.executable, str(PEERS / "race.py"), "--only", "starlette", "--seconds", "1", "--clients", "4", *places]


@pytest.mark.slow
def test_a_short_race_against_starlette_has_no_errors(race: SimpleNamespace, race_at_hand: list[str], tmp_path: Path) -> None:
    command = [*race_at_hand, "--works", "echo", "tiny", "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    kept = json.loads((tmp_path / "race.json").read_text(encoding="utf-8"))["stints"]
    stints = [race.results.StintResult.from_dict(one) for one in kept]
    assert sorted(one.name for one in stints) == ["Starlette", "Starlette", "servelite", "servelite"]
    assert all(not one.error and one.wrong == 0 and one.loads[0].failed == 0 and one.loads[0].requests > 0 for one in stints)
    assert all(one.first_200_ms > 0 and one.pss_mib > 0 for one in stints)
    assert "servelite" in done.stdout
    assert (tmp_path / "page.md").read_text(encoding="utf-8").startswith("# Benchmarks")


@pytest.mark.slow
def test_a_race_that_is_ended_leaves_no_server_behind(race_at_hand: list[str], tmp_path: Path) -> None:
    command = [*race_at_hand, "--works", "echo", "--rounds", "9"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("round 1/9, 1/2")
        until(lambda: len(living_below(tmp_path)) > 1)  # the second is started
        process.terminate()
        process.wait(timeout=60)
    assert living_below(tmp_path) == []
    kept = json.loads((tmp_path / "race.json").read_text(encoding="utf-8"))["stints"]
    assert [one["round"] for one in kept][:1] == [0]  # what was measured until then is kept
    assert list(tmp_path.glob("servelite-race-*")) == []


def living_below(folder: Path) -> list[str]:
    """Return the processes that work in a folder or below it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile, or is somebody else's
            if (entry / "cwd").readlink().is_relative_to(folder):
                found.append(entry.name)
    return found
