"""Findings: one sight that is not as promised fails a trial, and a trial that could not go on has failed."""

import asyncio
import inspect
from collections.abc import Callable

import pytest

from servelite.core.errors import ServiceError
from servelite.core.function import Description, Limits
from servelite.tools.torture.target import Target
from servelite.tools.torture.trials import TRIALS, Trial, hold
from servelite.tools.torture.verdict import Finding, finding, skipped

NOWHERE = Target(1, Description("f", "", Limits(), ("text/plain",), "text/plain", {}, {}), b"")


def test_a_finding_passes_if_every_sight_is_as_promised() -> None:
    assert finding("3 ms", ("200", True), ("in time", True)) == Finding("pass", "200, in time", "3 ms")


def test_one_wrong_sight_fails_a_finding_and_is_marked() -> None:
    assert finding("9 s", ("200", True), ("too late", False)) == Finding("fail", "200, ✗ too late", "9 s")


def trial_that(act: Callable[[], Finding], **more: bool) -> Trial:
    async def on_target(_: Target) -> Finding:
        return act()

    return Trial("it", "the promise", "what is expected", on_target=on_target, **more)


def breaks() -> Finding:
    raise ServiceError("The server is gone.")


@pytest.mark.parametrize(
    ("trial", "quick", "result", "seen"),
    [
        pytest.param(trial_that(lambda: finding("", ("200", True))), False, "pass", "200", id="one that holds"),
        pytest.param(trial_that(breaks), False, "fail", "The server is gone.", id="one that can't go on"),
        pytest.param(trial_that(lambda: skipped("no mates")), False, "skip", "no mates", id="one that does not fit"),
        pytest.param(trial_that(breaks, needs_patience=True), True, "skip", "--quick", id="a patient one in a hurry"),
        pytest.param(Trial("it", "", ""), False, "skip", "needs faults", id="one that needs a stage"),
    ],
)
def test_the_verdict_on(trial: Trial, quick: bool, result: str, seen: str) -> None:
    (verdict,) = asyncio.run(hold([trial], NOWHERE, is_quick=quick))
    assert (verdict.trial, verdict.promise, verdict.expected, verdict.result) == (trial.name, trial.promise, trial.expected, result)
    assert seen in verdict.seen


def test_every_trial_is_heard_of_before_it_begins() -> None:
    heard: list[str] = []
    asyncio.run(hold([trial_that(lambda: skipped(""))] * 2, NOWHERE, tell=heard.append))
    assert heard == ["1/2 it", "2/2 it"]


def test_every_trial_has_a_name_of_its_own_a_promise_and_a_way_to_be_held() -> None:
    assert len({trial.name for trial in TRIALS}) == len(TRIALS)
    for trial in TRIALS:
        assert trial.promise
        assert trial.expected
        held = [one for one in (trial.on_stage, trial.on_target) if one]
        assert held
        assert all(inspect.iscoroutinefunction(one) for one in held)
