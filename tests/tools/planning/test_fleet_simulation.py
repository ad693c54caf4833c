"""One server: cases that are reckoned by hand, what must hold for any calls, and the real pool, on a clock of the test's own."""

import asyncio
from collections import deque
from collections.abc import Sequence
from copy import copy
from itertools import accumulate
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.call import Answer
from servelite.tools.planning.fleet_simulation import ServerRun, simulate_server
from tests.runtime.bench import Bench
from tests.runtime.fakes import FakeWorker, a_machine, settle
from tests.tools.planning.profiles import MS, S, a_profile

GAPS = st.lists(st.integers(0, 40 * MS), min_size=1, max_size=60)


def ran(arrivals_us: Sequence[int], most_workers: int = 1, **profile: object) -> ServerRun:
    return simulate_server(arrivals_us, [0] * len(arrivals_us), a_profile(**profile), most_workers)


@pytest.mark.parametrize(
    ("arrivals_ms", "batches", "waits_ms", "took_ms"),
    [
        ([], [], [], []),
        ([5], [1], [0], [10]),
        ([0, 20, 40], [1, 1, 1], [0, 0, 0], [10, 10, 10]),
        ([0, 1, 2, 10], [1, 3], [0, 9, 8, 0], [10, 21, 20, 12]),
        ([0, *[1] * 10], [1, 8, 2], [0, *[9] * 8, 26, 26], [10, *[26] * 8, 37, 37]),
    ],
    ids=["none", "one", "one after the other", "three that waited, and one just in time", "no more than max_batch"],
)
def test_calls_that_are_reckoned_by_hand(arrivals_ms, batches, waits_ms, took_ms):
    run = ran([ms * MS for ms in arrivals_ms])
    assert run.batches == batches
    assert [us / MS for us in run.waits_us] == waits_ms
    assert [us / MS for us in run.took_us] == took_ms


def test_a_batch_takes_more_where_its_examples_do():
    profile = a_profile(alone_us=(5 * MS, 15 * MS))
    run = simulate_server([0, 100 * MS, 200 * MS, 201 * MS, 202 * MS], [0, 1, 1, 1, 0], profile, 1)
    assert run.took_us[:3] == [5 * MS, 15 * MS, 15 * MS]
    assert run.batches == [1, 1, 1, 2]
    assert run.took_us[3] == 14 * MS + 11 * MS  # what two take, waiting not counted, for they are 15 and 5


def test_a_second_worker_comes_when_the_wait_is_worth_one_and_no_more_than_may_be():
    slow = {"alone_us": (200 * MS,), "batches_us": ((1, 200 * MS),), "max_batch": 1, "init_us": 1 * S}
    calls = [number * 120 * MS for number in range(40)]
    one, two, three = (ran(calls, most, **slow) for most in (1, 2, 3))
    assert [one.workers, two.workers, three.workers] == [1, 2, 3]
    assert max(one.waits_us) > 2 * S > max(two.waits_us) >= max(three.waits_us)


@given(GAPS, st.integers(1, 3))
def test_every_call_is_in_one_batch_and_no_worker_does_two_at_once(gaps, most_workers):
    arrivals = list(accumulate(gaps))
    run = ran(arrivals, most_workers)
    assert sum(run.batches) == len(run.waits_us) == len(run.took_us) == len(arrivals)
    assert all(1 <= size <= 8 for size in run.batches)
    assert min(run.waits_us) >= 0
    assert all(10 * MS <= took - wait <= 17 * MS for took, wait in zip(run.took_us, run.waits_us, strict=True))
    span = max(at + took for at, took in zip(arrivals, run.took_us, strict=True)) - arrivals[0]
    assert run.busy_us <= run.workers * span
    assert len(arrivals) * 17 * MS / 8 <= run.busy_us <= len(arrivals) * 10 * MS


class RealPool:
    """The real pool of a function, on a clock of ours: any batch takes `run_us`, any start but the first `init_us`."""

    def __init__(self, most: int, run_us: int, init_us: int) -> None:
        self._bench = Bench(machine=a_machine(most), max_batch=8, max_workers=most)
        self._bench.pool.workers.new_worker = self._new_worker
        self._bench.workshop.compute_us = self._run_us = run_us
        self._init_us = init_us
        self._begun_us = self._bench.clock.us
        self._due: dict[FakeWorker, int] = {}  # when its start or its run is over
        self._took_us: dict[int, int] = {}

    def _new_worker(self, threads: int) -> FakeWorker:
        """Make a worker with a start of its own."""
        worker = self._bench.workshop.new_worker(threads)
        worker.workshop = copy(self._bench.workshop)
        worker.workshop.start_door = asyncio.Event()
        return worker

    async def answer(self, arrivals_us: Sequence[int]) -> tuple[list[int], list[int]]:
        """Return the sizes of batches, and how long each call took."""
        start = asyncio.create_task(self._bench.pool.start())
        await settle()
        self._bench.workers[0].workshop.start_door.set()
        await start
        self._bench.workshop.door.clear()
        waiting, tasks = deque(enumerate(arrivals_us)), list[asyncio.Task[Answer]]()
        while waiting or self._due:
            now_us = min([*(at_us for _, at_us in list(waiting)[:1]), *self._due.values()])
            self._bench.clock.us, self._bench.clock.asked = self._begun_us + now_us, 0
            self._end_what_is_due(now_us)
            while waiting and waiting[0][1] == now_us:  # before a worker that has just become free looks
                tasks.append(self._send(*waiting.popleft()))
                await asyncio.sleep(0)
                self._bench.pool.look()  # as it does ten times a second; the simulation looks as often as a call comes
            await settle()
            self._note_what_began(now_us)
        await self._bench.answers(tasks)
        await self._bench.stop()
        return [len(batch) for batch in self._bench.workshop.batches], [self._took_us[number] for number in range(len(arrivals_us))]

    def _send(self, number: int, at_us: int) -> "asyncio.Task[Answer]":
        (task,) = self._bench.send(b"%d" % number)
        task.add_done_callback(lambda _: self._took_us.setdefault(number, self._bench.clock.us - self._begun_us - at_us))
        return task

    def _end_what_is_due(self, now_us: int) -> None:
        for worker in [one for one, due_us in self._due.items() if due_us == now_us]:
            del self._due[worker]
            if worker.workshop.start_door.is_set():
                worker.finish()
            else:
                worker.workshop.start_door.set()

    def _note_what_began(self, now_us: int) -> None:
        for lane in self._bench.pool.workers.lanes:
            if not lane.ready_us:
                self._due.setdefault(lane.worker, now_us + self._init_us)
            elif lane.batch:
                self._due.setdefault(lane.worker, now_us + self._run_us)


@pytest.mark.parametrize(("most", "gap_ms", "run_ms"), [(1, 8, 30), (1, 3, 30), (1, 60, 30), (2, 7, 70), (3, 5, 90)])
@pytest.mark.anyio
async def test_the_real_pool_makes_the_same_batches_at_the_same_moments(most, gap_ms, run_ms):
    random = Random(most * gap_ms)
    arrivals = list(accumulate(1 + round(random.expovariate(1 / (gap_ms * MS))) for _ in range(150)))
    run = ran(arrivals, most, alone_us=(run_ms * MS,), batches_us=((1, run_ms * MS), (8, run_ms * MS)), init_us=400 * MS)
    batches, took_us = await RealPool(most, run_ms * MS, 400 * MS).answer(arrivals)
    assert run.batches == batches
    assert run.took_us == took_us
