"""Measuring functions whose times are known: they sleep, so a busy machine may make them slower, never faster."""

import asyncio
from typing import Any

import pytest

from servelite.core.errors import DefinitionError, ServeliteError
from servelite.tools.planning.measuring import cores_used, measure, sizes
from servelite.tools.planning.profile import WAITS_BELOW, Profile

SLEEPS = """
    import time
    from servelite import function

    ballast = b"x" * (50 << 20)
    time.sleep(0.06)

    @function(max_batch=4, max_workers=3, timeout_s=7, memory_mib=300)
    def sleeps(values: list[float]) -> list[float]:
        time.sleep(max(values) / 1000)
        return values
"""
EXAMPLES = '{"input": 1}\n{"input": 6}\n'

NAPS = """
    import time
    from servelite import function

    @function(max_batch=4)
    def naps(values: list[float]) -> list[float]:
        time.sleep(0.004)
        return values
"""

ASKS = """
    from servelite import Context, function

    @function
    def asks(number: float, context: Context) -> float:
        return context.call("naps", number)
"""

CHAIN = 'from servelite import sequence\n\npipeline = sequence("naps", "naps")\n'

MS = 1000


def measured(folder: Any) -> Profile:
    return asyncio.run(measure(folder))


def test_times_memory_and_limits_are_measured(write_function):
    profile = measured(write_function("sleeps", SLEEPS, {"examples.jsonl": EXAMPLES}))
    short_us, long_us = profile.alone_us
    assert 1 * MS <= short_us < long_us
    assert long_us >= 6 * MS
    assert [size for size, _ in profile.batches_us] == [1, 2, 4]
    assert profile.batches_us[-1][1] >= 6 * MS  # the longest of a batch, not their sum
    assert profile.batches_us[-1][1] < 4 * long_us
    assert profile.cores_used < WAITS_BELOW
    assert profile.init_us >= 60 * MS
    assert profile.cold_us is not None
    assert profile.cold_us >= 60 * MS
    assert 70 * 1024 < profile.peak_kib < 1024 * 1024
    assert (profile.max_batch, profile.max_workers, profile.timeout_s, profile.memory_mib) == (4, 3, 7, 300)


@pytest.mark.parametrize(
    ("name", "source", "times"),
    [pytest.param("chain", CHAIN, 2, marks=pytest.mark.slow), pytest.param("asks", ASKS, 1, marks=pytest.mark.slow)],
    ids=["a pipeline", "what it calls"],
)
def test_all_that_a_call_is_made_of_counts(write_function, name, source, times):
    write_function("naps", NAPS)
    profile = measured(write_function(name, source, {"examples.jsonl": '{"input": 1}\n'}))
    assert profile.alone_us[0] >= times * 4 * MS
    assert profile.cold_us is not None
    assert profile.peak_kib > 20 * 1024


LIFE = """
    import os
    from servelite import function

    @function
    def life(number: int) -> int:
        if "SERVELITE_FUNCTIONS" in os.environ:
            os._exit({code})
        return number
"""


@pytest.mark.slow
@pytest.mark.parametrize("code", [0, 3])
def test_where_no_cold_start_is_to_be_seen_the_workers_are_taken(write_function, code):
    """This function lives in a worker only."""
    profile = measured(write_function("life", LIFE.format(code=code), {"examples.jsonl": '{"input": 1}\n'}))
    assert profile.cold_us is None
    assert profile.lambda_init_us(1769) == profile.init_us
    assert profile.peak_kib > 20 * 1024


@pytest.mark.slow
def test_what_computes_uses_a_core(write_function):
    source = """
        import time
        from servelite import function

        @function
        def computes(number: int) -> int:
            end = time.process_time() + 0.005
            while time.process_time() < end:
                number += 1
            return number
    """
    profile = measured(write_function("computes", source, {"examples.jsonl": '{"input": 1}\n'}))
    assert profile.batches_us == ((1, profile.alone_us[0]),)
    assert 0 < profile.cores_used < 1.5
    assert profile.alone_us[0] >= 5 * MS


@pytest.mark.parametrize(
    ("examples", "error", "says"),
    [
        ("", DefinitionError, r"sleeps has no examples to measure it with\. Write .* into sleeps/examples\.jsonl"),
        ('{"input": "x"}\n', ServeliteError, r"An example of sleeps is answered invalid_input: .* servelite check"),
    ],
    ids=["none", "one that fails"],
)
def test_without_examples_that_are_answered_it_can_not_be_measured(write_function, capfd, examples, error, says):
    with pytest.raises(error, match=says):
        measured(write_function("sleeps", SLEEPS, {"examples.jsonl": examples}))


@pytest.mark.parametrize(("most", "measures"), [(1, []), (2, [2]), (3, [2, 3]), (8, [2, 4, 8]), (100, [2, 4, 8, 16, 32, 64, 100])])
def test_batches_are_measured_at_doubling_sizes_and_the_largest(most, measures):
    assert sizes(most) == measures


@pytest.mark.parametrize(
    ("took_us", "cpu_us", "cores"),
    [(8, 11, 1), (8, 0, 1), (1000, 1020, 1), (1000, 980, 1), (1000, 1900, 1.9), (1000, 500, 0.5), (0, 0, 1)],
)
def test_what_two_clocks_say_is_compared_as_far_as_they_tell(took_us, cpu_us, cores):
    assert cores_used(took_us, cpu_us) == cores
