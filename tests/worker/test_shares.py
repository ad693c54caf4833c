"""Whose time a batch's time is, on a clock that only moves when somebody works."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.call import BatchReply, Call
from servelite.core.errors import FunctionFailed, InvalidInput
from servelite.core.function import Limits
from servelite.core.signature import read_signature
from servelite.worker.loader import HANDLER, Function, Part
from servelite.worker.runner import Runner

MS = 1_000_000

Item = dict[str, Any]
"""What a call asks for: how it is to end, and how many ns its decoding, its part of a run and its encoding take."""

NS = st.integers(0, 10 * MS)
ENDS = st.sampled_from(["good", "undecodable", "raises", "returns", "unfit"])


def items(run_ns: st.SearchStrategy[int] = NS) -> st.SearchStrategy[list[Item]]:
    one = st.fixed_dictionaries({"end": ENDS, "decode_ns": NS, "run_ns": run_ns, "encode_ns": NS})
    return st.lists(one, min_size=1, max_size=64)


def item(end: str = "good", decode_ns: int = 0, run_ns: int = 0, encode_ns: int = 0) -> Item:
    return {"end": end, "decode_ns": decode_ns, "run_ns": run_ns, "encode_ns": encode_ns}


@dataclass
class Works:
    """A function whose work moves the clock.

    run_ns    what a run takes whatever its size
    look_ns   what a look at the clock takes
    together  how many calls a run can't have; 0 for no such number
    runs      of every run: its calls' places, what it took, and whether it answered
    """

    run_ns: int = 0
    look_ns: int = 0
    together: int = 0
    batch: list[Item] = field(default_factory=list)
    runs: list[tuple[list[int], int, bool]] = field(default_factory=list)
    now_ns: int = 0

    def clock_ns(self) -> int:
        self.now_ns += self.look_ns
        return self.now_ns

    def decode(self, body: bytes, media_type: str) -> int:
        """Return the place of a call, which stands in for its input."""
        place = int(body)
        self.now_ns += self.batch[place]["decode_ns"]
        if self.batch[place]["end"] == "undecodable":
            raise InvalidInput("It does not fit.")
        return place

    def handle(self, places: list[int]) -> list[Any]:
        begun_ns = self.now_ns
        self.now_ns += self.run_ns + sum(self.batch[place]["run_ns"] for place in places)
        ends = [self.batch[place]["end"] for place in places]
        is_answered = "raises" not in ends and not 0 < self.together <= len(places)
        self.runs.append((list(places), self.now_ns - begun_ns, is_answered))
        if not is_answered:
            raise InvalidInput("One of them is wrong.")
        return [InvalidInput("Wrong.") if end == "returns" else place for end, place in zip(ends, places, strict=True)]

    def encode(self, place: int) -> bytes:
        self.now_ns += self.batch[place]["encode_ns"]
        if self.batch[place]["end"] == "unfit":
            raise FunctionFailed("It does not fit.")
        return b"%d" % place

    def run(self, batch: list[Item], *, is_batched: bool = True) -> BatchReply:
        def together(places: list[int]) -> list[int]:
            return self.handle(places)

        def alone(place: int) -> int:
            (output,) = self.handle([place])
            if isinstance(output, Exception):
                raise output
            return output

        limits = Limits(max_batch=64 if is_batched else 1)
        handler = together if is_batched else alone
        part = Part(handler, read_signature(handler, limits), self)
        function = Function("f", Path(), limits, "", {HANDLER: part})
        self.batch = batch
        return Runner(function, clock_ns=self.clock_ns).run([Call(f"id-{place}", "f", body=b"%d" % place) for place in range(len(batch))])

    def own_ns(self, place: int) -> int:
        """Return what decoding and encoding a call took."""
        is_encoded = self.batch[place]["end"] in ("good", "unfit")
        return self.batch[place]["decode_ns"] + is_encoded * self.batch[place]["encode_ns"]


def times_us(reply: BatchReply) -> list[int]:
    return [outcome.compute_us for outcome in reply.outcomes]


@given(batch=items(), run_ns=NS, look_ns=st.integers(0, 100_000), together=st.integers(0, 64), is_batched=st.booleans())
def test_the_times_of_a_batchs_calls_add_up_to_its_time_exactly(batch, run_ns, look_ns, together, is_batched):
    works = Works(run_ns, look_ns, together)
    reply = works.run(batch, is_batched=is_batched)
    assert reply.compute_us == sum(times_us(reply)) == (works.now_ns - look_ns) // 1000
    assert min(times_us(reply)) >= 0


@given(batch=items(), run_ns=NS)
def test_a_call_pays_for_itself_and_its_part_of_the_run_that_answered_it(batch, run_ns):
    works = Works(run_ns)
    took_us = times_us(works.run(batch))
    part_ns = {place: ns / len(places) for places, ns, is_answered in works.runs if is_answered for place in places}
    for place, one in enumerate(batch):
        if one["end"] != "raises":
            assert took_us[place] == pytest.approx((works.own_ns(place) + part_ns.get(place, 0)) / 1000, abs=1.001)


@given(batch=items(), run_ns=NS)
def test_runs_that_raised_are_paid_by_those_that_raise(batch, run_ns):
    works = Works(run_ns)
    took_us = times_us(works.run(batch))
    guilty = [place for place, one in enumerate(batch) if one["end"] == "raises"]
    raised_ns = sum(ns for _, ns, is_answered in works.runs if not is_answered)
    assert sum(took_us[place] for place in guilty) == pytest.approx(
        (raised_ns + sum(map(works.own_ns, guilty))) / 1000, abs=len(guilty) + 0.001
    )


@given(batch=items(run_ns=st.just(MS)), run_ns=NS)
def test_where_inputs_are_alike_nobody_but_who_raises_pays_more_than_alone(batch, run_ns):
    for one, took_us in zip(batch, times_us(Works(run_ns).run(batch)), strict=True):
        if one["end"] != "raises":
            (alone_us,) = times_us(Works(run_ns).run([one]))
            assert took_us <= alone_us + 1


@pytest.mark.parametrize("size", [2, 3, 63, 64])
def test_calls_that_are_alike_pay_alike(size):
    took_us = times_us(Works(run_ns=7 * MS).run([item(decode_ns=5_000, run_ns=11_111, encode_ns=3_000)] * size))
    assert max(took_us) - min(took_us) <= 1


def test_calls_that_raise_only_together_pay_alike():
    works = Works(run_ns=MS, together=2)
    took_us = times_us(works.run([item()] * 8))
    assert len(works.runs) == 15
    assert set(took_us) == {15_000 // 8}


def test_where_one_of_those_that_were_wrong_together_is_wrong_alone_it_pays_for_all_of_them():
    took_us = times_us(Works(run_ns=MS, together=4).run([item("raises"), *[item()] * 3]))
    assert took_us == [3_000, 1_000, 500, 500]  # runs of 4, 2 and 1; of 1; of 2


def test_invalid_inputs_take_no_time_off_a_call_that_runs():
    took_us = times_us(Works().run([item("undecodable", decode_ns=2_000)] * 63 + [item(run_ns=1000 * MS)]))
    assert took_us == [2] * 63 + [1_000_000]


def test_poison_costs_its_mates_nothing():
    poison, good = [item("raises", run_ns=MS)] * 8, [item(run_ns=MS)] * 56
    assert times_us(Works().run(good + poison))[:56] == [1_000] * 56


def test_a_lone_call_has_all_the_time():
    assert times_us(Works(run_ns=MS).run([item(decode_ns=1_500, encode_ns=2_999)])) == [1_004]


def test_no_calls_take_no_time():
    assert Works(look_ns=MS).run([]).compute_us == 0
