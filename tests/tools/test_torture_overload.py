"""The judgement of a flood: good only if what could be done was done in time, and all else was refused at once."""

from typing import Any

import pytest

from servelite.tools.torture.client import Reply
from servelite.tools.torture.overload import Sights, judge

REFUSED = Reply(0.01, 429, {"retry-after": "1"})
WAITED = Reply(0.6, 200)


def sights(**changed: Any) -> Sights:
    """Return what is seen of a server that can do 10 a second, does all of it for 5 s, and refuses as many."""
    answered = [(0.1 * number, WAITED) for number in range(1, 51)] + [(0.1 * number, REFUSED) for number in range(1, 51)]
    good = {"answered": answered, "recovered_s": 0.3, "livez_s": [0.002, 0.05], "gateway_mib": [40.0, 50.0, 45.0]}
    return Sights(10, 5, 0.5, **{**good, **changed})


def test_a_server_that_does_what_it_can_and_refuses_the_rest_passes() -> None:
    found = judge(sights())
    assert (found.result, found.figure) == ("pass", "100%")


@pytest.mark.parametrize(
    ("changed", "seen"),
    [
        pytest.param({"answered": [(1, WAITED), (1, REFUSED)]}, "goodput 2%", id="does too little"),
        pytest.param({"answered": [(9, WAITED)] * 50 + [(1, REFUSED)]}, "goodput 0%", id="answers after the end"),
        pytest.param({"answered": [(1, Reply(1.1, 200))] * 50 + [(1, REFUSED)]}, "p99 1.10 s", id="answers late"),
        pytest.param({"answered": [(1, WAITED)] * 50}, "0 got 429", id="refuses nobody"),
        pytest.param({"answered": [(1, WAITED)] * 50 + [(1, Reply(0.1, 429))]}, "1 without Retry-After", id="does not say when to retry"),
        pytest.param({"answered": [(1, WAITED)] * 50 + [(1, REFUSED), (1, Reply(2))]}, "1 other ends", id="leaves a call unanswered"),
        pytest.param({"answered": [(1, WAITED)] * 50 + [(1, REFUSED), (1, Reply(2, 503))]}, "1 other ends", id="answers 503"),
        pytest.param({"gateway_mib": [40.0, 90.0, 41.0]}, "+52 MB", id="grows"),
        pytest.param({"livez_s": [0.01, 0.2]}, "/livez at most 200 ms", id="is too busy to say that it lives"),
        pytest.param({"recovered_s": 1.5}, "a normal answer 1.50 s after", id="needs too long afterwards"),
    ],
)
def test_a_server_fails_that(changed: dict[str, Any], seen: str) -> None:
    found = judge(sights(**changed))
    assert found.result == "fail"
    assert f"✗ {seen}" in found.seen
