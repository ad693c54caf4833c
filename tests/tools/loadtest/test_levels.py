"""Shapes of a load, and mixes of functions."""

from itertools import pairwise

import pytest

from servelite.core.errors import DefinitionError
from servelite.tools.loadtest.levels import QUIET, RAMP_S, SHAPES, SPIKES, level
from servelite.tools.loadtest.mixes import parse_mix


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("time_s", [1, 10, 3600, None])
def test_a_load_is_never_more_than_all_of_it_and_reaches_that(shape: str, time_s: int | None) -> None:
    over_s = time_s or RAMP_S
    levels = [level(shape, over_s * part / 1000, time_s) for part in range(1001)]
    assert max(levels) == 1.0
    assert min(levels) >= 0.0


def test_a_steady_load_is_all_of_it_and_a_ramp_grows() -> None:
    assert {level("steady", at_s, 10) for at_s in range(10)} == {1.0}
    assert [level("ramp", at_s, 10) for at_s in (0, 5, 10, 99)] == [0.0, 0.5, 1.0, 1.0]


def test_spikes_come_four_times_and_take_a_third_of_the_time() -> None:
    levels = [level("spiky", part / 100, 40) for part in range(4000)]
    assert set(levels) == {QUIET, 1.0}
    assert levels.count(1.0) == pytest.approx(4000 / 3, abs=SPIKES * 2)
    assert sum(one < two for one, two in pairwise(levels)) == SPIKES


def test_without_an_end_spikes_go_on() -> None:
    assert {level("spiky", 10_000 + at_s, None) for at_s in range(60)} == {QUIET, 1.0}


def test_a_mix_is_read() -> None:
    assert parse_mix("sentiment=3, topic = 0.5,spam") == {"sentiment": 3, "topic": 0.5, "spam": 1}
    assert parse_mix("a=0,b=1") == {"b": 1}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'' is no part of a mix. Write for example sentiment=3,topic=1."),
        ("a=much", "'a=much' is no part of a mix."),
        ("a=-1", "'a=-1' is no part of a mix."),
        ("../a=1", "is no part of a mix"),
        ("a=1,a=2", "The mix has a twice. Give it one number."),
        ("a=0", "'a=0' calls nothing. Give a function a number above 0."),
    ],
)
def test_what_is_no_mix_is_told_with_the_cure(text: str, says: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        parse_mix(text)
    assert says in raised.value.detail
