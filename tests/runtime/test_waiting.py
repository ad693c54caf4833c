import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from servelite.core.call import Answer, Call, Receipt
from servelite.runtime.waiting import BATCH_BYTES, FOREVER, Queue, Waiting

ANSWER = Answer(b"", "", Receipt())


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture
def queued(loop):
    """Return a maker of queues: queued(*bodies, until_us=…) gives the queue and what waits in it."""

    def make(*bodies: bytes, until_us: int = FOREVER) -> tuple[Queue, list[Waiting]]:
        queue = Queue()
        waiting = [Waiting(Call(f"{at}", "f", body=body), loop.create_future(), at, until_us) for at, body in enumerate(bodies)]
        for one in waiting:
            queue.add(one)
        return queue, waiting

    return make


def leave(queue: Queue, waiting: Waiting) -> None:
    waiting.answer.cancel()
    queue.forget(waiting)


def sizes(queue: Queue, most: int = 100) -> list[int]:
    """Return the sizes of the batches that a queue gives until it is empty."""
    found = []
    while queue.length:
        found.append(len(queue.take(most, 0)[0]))
    return found


def test_calls_leave_in_the_order_in_which_they_came(queued):
    queue, (a, b, c) = queued(b"a", b"b", b"c")
    assert queue.take(2, 0) == ([a, b], [])
    assert queue.take(2, 0) == ([c], [])
    assert (queue.length, queue.take(2, 0)) == (0, ([], []))


def test_a_taken_call_knows_it_and_one_that_waits_does_not(queued):
    queue, (a, b) = queued(b"a", b"b")
    queue.take(1, 0)
    assert (a.is_taken, b.is_taken) == (True, False)


HALF = BATCH_BYTES // 2


@pytest.mark.parametrize(
    ("bytes_", "batches"),
    [
        pytest.param([HALF, HALF, 1], [2, 1], id="as many as fit"),
        pytest.param([HALF + 1, HALF], [1, 1], id="one byte too many"),
        pytest.param([BATCH_BYTES + 1, 1], [1, 1], id="too large for any batch goes alone"),
        pytest.param([1, BATCH_BYTES + 1], [1, 1], id="too large waits for the next batch"),
    ],
)
def test_a_batch_is_bounded_by_its_bytes(queued, bytes_, batches):
    queue, _ = queued(*map(bytes, bytes_))
    assert sizes(queue) == batches


def test_a_call_whose_caller_is_gone_is_left_out_and_its_body_is_not_kept(queued):
    queue, (a, b, c) = queued(b"a", b"b", b"c")
    leave(queue, b)
    assert (queue.length, b.call.body) == (2, b"")
    assert queue.take(3, 0) == ([a, c], [])


def test_many_whose_callers_are_gone_do_not_pile_up(queued):
    queue, waiting = queued(*[b"x"] * 1000)
    for one in waiting[:-1]:
        leave(queue, one)
    assert sum(map(len, queue._lines.values())) <= 2 * queue.length + 101
    assert queue.take(1, 0) == ([waiting[-1]], [])


def test_a_caller_that_left_a_moment_ago_leaves_nothing_that_could_be_waited_for(queued):
    queue, (a,) = queued(b"a")
    a.answer.cancel()  # it is forgotten once its task gets its turn, which may be after a worker looks
    assert queue.take(1, 0) == ([], [])
    assert queue.length == 0
    assert a.is_taken  # so that nobody forgets it a second time


@pytest.mark.parametrize(("now_us", "is_late"), [(99, False), (100, False), (101, True)])
def test_a_call_that_waited_beyond_its_deadline_is_late_whether_its_turn_comes_or_not(queued, now_us, is_late):
    queue, (a,) = queued(b"a", until_us=100)
    assert queue.take(1, now_us) == (([], [a]) if is_late else ([a], []))
    queue, (a,) = queued(b"a", until_us=100)
    assert queue.take_late(now_us) == ([a] if is_late else [])
    assert queue.length == (not is_late)


def test_late_calls_take_no_place_in_a_batch(queued):
    queue, (a, b, c, d) = queued(b"a", b"b", b"c", b"d")
    a.until_us = c.until_us = 5
    assert queue.take(2, 6) == ([b, d], [a, c])


def test_late_calls_are_found_behind_others_that_may_still_wait(queued):
    queue, (a, b, c) = queued(b"a", b"b", b"c")
    b.until_us = 5
    assert queue.take_late(6) == [b]
    assert queue.take(3, 6) == ([a, c], [])


def test_calls_of_a_died_batch_come_first_each_alone_and_are_never_late(queued):
    queue, (a, b, c, d) = queued(b"a", b"b", b"c", b"d", until_us=100)
    batch, _ = queue.take(2, 0)
    for one in batch:
        one.ends += 1
    queue.add_again(batch)
    assert queue.length == 4
    assert queue.take(4, 1000) == ([a], [])
    assert queue.take_late(1000) == [c, d]
    assert queue.take(4, 1000) == ([b], [])


def test_a_call_of_a_died_batch_whose_caller_left_while_it_ran_does_not_come_back(queued):
    queue, (a, b) = queued(b"a", b"b")
    batch, _ = queue.take(2, 0)
    a.answer.cancel()
    queue.add_again(batch)
    assert queue.length == 1
    assert queue.take(2, 0) == ([b], [])
    assert queue.length == 0


def test_all_that_wait_can_be_taken_at_once(queued):
    queue, (a, b, c) = queued(b"a", b"b", b"c")
    leave(queue, b)
    assert queue.take_all() == [a, c]
    assert (queue.length, queue.take(3, 0)) == (0, ([], []))


def test_the_oldest_is_the_first_whose_caller_still_waits(queued):
    queue, (a, b) = queued(b"a", b"b")
    assert queue.oldest_us() == a.arrived_us
    leave(queue, a)
    assert queue.oldest_us() == b.arrived_us
    leave(queue, b)
    assert queue.oldest_us() == FOREVER


@pytest.fixture
def deep(queued):
    """Return a queue of a function that calls others, in which calls of the depths 0, 2, 1, 2 wait."""
    queue, waiting = queued(b"a", b"b", b"c", b"d")
    for one, depth in zip(waiting, (0, 2, 1, 2), strict=True):
        one.call.depth = depth
    queue.split()
    return queue, waiting


def test_calls_of_all_depths_share_the_line_of_a_function_that_calls_nobody(queued):
    queue, (a, b, c) = queued(b"a", b"b", b"c")
    b.call.depth = 3
    assert queue.ahead_of(3) == 3
    assert queue.take(3, 0) == ([a, b, c], [])


def test_each_depth_has_a_line_of_its_own_where_handlers_call_others(deep):
    queue, (a, b, c, d) = deep
    assert queue.depths() == [2, 1, 0]
    assert queue.take(4, 0, 2) == ([b, d], [])
    assert queue.take(4, 0, 1) == ([c], [])
    assert queue.take(4, 0, 0) == ([a], [])
    assert (queue.length, queue.depths()) == (0, [])


def test_calls_go_behind_those_that_are_as_deep_and_before_those_that_are_not(deep, loop):
    queue, _ = deep
    assert [queue.ahead_of(depth) for depth in (0, 1, 2, 3)] == [4, 3, 2, 0]
    queue.add(Waiting(Call("e", "f", depth=1), loop.create_future(), 5))
    assert [one.call.id for one in queue.take(4, 0, 1)[0]] == ["2", "e"]


def test_a_depth_whose_callers_are_all_gone_has_nobody_that_waits(deep):
    queue, (_, b, _, d) = deep
    b.answer.cancel()  # nobody said so yet
    leave(queue, d)
    assert queue.depths() == [1, 0]
    assert queue.ahead_of(1) == 1


def test_calls_of_a_died_batch_go_back_into_their_line(deep):
    queue, (_, b, _, d) = deep
    batch, _ = queue.take(2, 0, 2)
    queue.add_again(batch)
    assert queue.take(4, 0, 2) == ([b, d], [])


def test_those_that_handlers_wait_for_can_be_taken_and_the_others_left(deep):
    queue, (a, b, c, d) = deep
    assert sorted(queue.take_deep(), key=lambda one: one.arrived_us) == [b, c, d]
    assert (queue.length, queue.take(4, 0)) == (1, ([a], []))


class QueueMachine(RuleBasedStateMachine):
    """A queue beside what it should hold: lists of calls that wait, that run, and whose leaving was not told yet."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.queue, self.now_us, self.count = Queue(), 0, 0
        self.waits: list[Waiting] = []
        self.runs: list[list[Waiting]] = []
        self.untold: list[Waiting] = []

    def teardown(self) -> None:
        self.loop.close()

    @rule(size=st.sampled_from([0, 1, HALF, BATCH_BYTES + 1]), patience_us=st.sampled_from([5, 50, FOREVER]))
    def arrive(self, size: int, patience_us: int) -> None:
        self.count += 1
        self.waits.append(Waiting(Call(f"{self.count}", "f", body=bytes(size)), self.loop.create_future(), self.count))
        self.waits[-1].until_us = self.now_us + patience_us
        self.queue.add(self.waits[-1])

    @precondition(lambda self: self.waits)
    @rule(data=st.data())
    def leave_while_it_waits(self, data: st.DataObject) -> None:
        gone = self.waits.pop(data.draw(st.integers(0, len(self.waits) - 1)))
        gone.answer.cancel()
        self.untold.append(gone)

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def leave_while_it_runs(self, data: st.DataObject) -> None:
        gone = data.draw(st.sampled_from(self.runs[0]))
        if gone.answer.cancel():
            self.untold.append(gone)

    @rule()
    def tell_who_left(self) -> None:
        for gone in self.untold:
            if not gone.is_taken:  # as `Pool._give_up` does
                self.queue.forget(gone)
        self.untold.clear()

    @rule(most=st.integers(1, 4), after_us=st.integers(0, 9))
    def take(self, most: int, after_us: int) -> None:
        self.now_us += after_us
        batch, late = self.queue.take(most, self.now_us)
        passed = batch + late
        assert sorted(map(self.waits.index, passed)) == list(range(len(passed)))  # the first ones
        assert [one for one in self.waits if one in batch] == batch
        assert all(one.until_us < self.now_us for one in late)
        assert all(one.until_us >= self.now_us and one.is_taken for one in batch)
        assert len(batch) <= most
        assert len(batch) == 1 or sum(len(one.call.body) for one in batch) <= BATCH_BYTES
        assert len(batch) == 1 or not any(one.ends for one in batch)
        if not passed:
            assert self.queue.length == 0  # or a worker would look again and again
        self.waits = [one for one in self.waits if one not in passed]
        self.runs += [batch] if batch else []

    @rule(after_us=st.integers(0, 9))
    def take_late(self, after_us: int) -> None:
        self.now_us += after_us
        late = self.queue.take_late(self.now_us)
        assert late == [one for one in self.waits if one.until_us < self.now_us]
        self.waits = [one for one in self.waits if one not in late]

    @precondition(lambda self: self.runs)
    @rule()
    def end(self) -> None:
        for one in self.runs.pop(0):
            if not one.answer.done():
                one.answer.set_result(ANSWER)

    @precondition(lambda self: self.runs)
    @rule()
    def die(self) -> None:
        batch = self.runs.pop(0)
        for one in batch:
            one.ends += 1
        self.queue.add_again(batch)
        self.waits = [one for one in batch if not one.answer.done()] + self.waits

    @rule()
    def take_all(self) -> None:
        assert self.queue.take_all() == self.waits
        self.waits = []

    @invariant()
    def the_length_is_the_number_of_those_whose_caller_waits(self) -> None:
        assert len(self.waits) <= self.queue.length <= len(self.waits) + len(self.untold)
        assert self.queue.oldest_us() == (self.waits[0].arrived_us if self.waits else FOREVER)


def test_whatever_happens_nothing_is_lost_or_doubled_and_the_length_is_right():
    run_state_machine_as_test(QueueMachine, settings=settings(max_examples=100, stateful_step_count=40))
