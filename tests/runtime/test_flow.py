"""One run of a pipeline on an `ask` that answers as a test says; what the stages are is in test_pipelines.py."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servelite.core.call import Call
from servelite.core.errors import FunctionFailed, InvalidInput, MalformedJson, Overloaded, ServeliteError, TimedOut, WorkerDied
from servelite.core.function import JSON
from servelite.core.pipeline import Each, FunctionStage, Node, Parallel, Retry, Route, Value
from servelite.core.pipeline import Sequence as Chain
from servelite.core.stages import each, parallel, retry, route, sequence, stage, value
from servelite.runtime.flow import Flow, Limit, Path, all_or_none
from servelite.runtime.payloads import Payload
from tests.runtime.fakes import advance_timers, described, settle, until

pytestmark = pytest.mark.anyio

FOREVER = float("inf")


def is_long(text: str) -> str:
    return "long"


CHOOSERS = {"is_long": lambda value: "long" if len(str(value)) > 3 else "short"}

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "same": lambda value: value,
    "pair": lambda value: [value, value],
    "text": str,
    "size": lambda value: len(str(value)),
    **CHOOSERS,
}


@dataclass
class Stages:
    """Answers stages: those of the names `held` wait; `fails` says how often the next ones of a name fail, and with what."""

    asked: list[tuple[str, Any]] = field(default_factory=list)
    running: int = 0
    most: int = 0
    cancelled: list[Any] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    fails: dict[str, list[ServeliteError]] = field(default_factory=dict)

    async def ask(self, flow: Flow, node: Node, given: Payload, path: Path) -> Payload:
        value = json.loads(given.body)
        self.asked.append((path.shown(node.name), value))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(0)
            await until(lambda: node.name not in self.held, turns=None)
        except asyncio.CancelledError:
            self.cancelled.append(value)
            raise
        finally:
            self.running -= 1
        if self.fails.get(node.name):
            raise self.fails[node.name].pop(0)
        return Payload(json.dumps(FUNCTIONS[node.name](value)).encode(), JSON)

    def flow(self, node: Node, until_s: float = FOREVER) -> Flow:
        return Flow(Call("1", "p"), node, described("p"), until_s, self.ask)

    async def run(self, node: Node, value: Any, until_s: float = FOREVER) -> Any:
        given = Payload(json.dumps(value).encode(), JSON, is_callers=True)
        return json.loads((await self.flow(node, until_s).run(node, given)).body)

    def begin(self, node: Node, value: Any, *held: str) -> "asyncio.Task[Any]":
        """Begin a run in which some stages do not end."""
        self.held = set(held)
        return asyncio.create_task(self.run(node, value))


@pytest.fixture
async def stages() -> Stages:
    return Stages()


def interpreted(node: Node, value: Any) -> Any:
    """Run a pipeline as plain Python."""
    match node:
        case Chain():
            for one in node.stages:
                value = interpreted(one, value)
            return value
        case Parallel():
            return {name: interpreted(branch, value) for name, branch in node.branches}
        case Each():
            return [interpreted(node.stage, item) for item in value]
        case Route():
            return interpreted(dict(node.branches)[interpreted(node.chooser, value)], value)
        case Value():
            return node.output
    return FUNCTIONS[node.name](value)


LEAVES = st.sampled_from([FunctionStage("same"), FunctionStage("text"), FunctionStage("size"), value(0), value(["a", "b"])])


def _wider(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    names = st.sampled_from(["a", "b", 'c"'])
    return (
        st.lists(nodes, min_size=1, max_size=3).map(lambda parts: sequence(*parts))
        | st.dictionaries(names, nodes, min_size=1, max_size=3).map(lambda branches: parallel(**branches))
        | st.builds(lambda one, most: sequence("pair", each(one, max_parallel=most)), nodes, st.integers(1, 3))
        | st.builds(lambda long, short: route(is_long, long=long, short=short), nodes, nodes)
        | st.builds(lambda one: stage(one, retry=retry(1), timeout_s=9, fallback=value(None)), nodes)
    )


@given(st.recursive(LEAVES, _wider, max_leaves=10), st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=2), max_size=3))
@settings(max_examples=200)
def test_a_pipeline_gives_what_plain_python_would(node, value):
    async def run() -> Any:
        return await Stages().run(node, value)

    assert asyncio.run(run()) == interpreted(node, value)


async def test_stages_run_one_after_the_other(stages):
    assert await stages.run(sequence("pair", "size", "text"), 7) == "6"
    assert stages.asked == [("pair", 7), ("size", [7, 7]), ("text", 6)]
    assert stages.most == 1


async def test_branches_run_at_the_same_time_on_the_same_input(stages):
    assert await stages.run(parallel(a="same", b=sequence("pair", "size")), 7) == {"a": 7, "b": 6}
    assert stages.asked == [("a.same", 7), ("b.pair", 7), ("b.size", [7, 7])]
    assert stages.most == 2


async def test_items_run_at_the_same_time_and_keep_their_order(stages):
    numbers = list(range(40))
    assert await stages.run(each("text"), numbers) == [str(number) for number in numbers]
    assert stages.most == 40
    assert stages.asked[3] == ("text[3]", 3)


@pytest.mark.parametrize("most", [1, 2, 7])
async def test_no_more_items_run_at_the_same_time_than_are_allowed(stages, most):
    assert await stages.run(each(sequence("pair", "size"), max_parallel=most), [1] * 20) == [6] * 20
    assert stages.most == most


async def test_an_empty_list_asks_nobody(stages):
    assert await stages.run(each("text"), []) == []
    assert stages.asked == []


async def test_an_item_is_handed_on_as_it_was_written(stages):
    flow = stages.flow(each("same"))
    seen = []

    async def ask(flow, node, given, path):
        seen.append(given.body)
        return given

    flow.ask = ask
    output = await flow.run(flow.node, Payload(b' [1.50, "\\u0041" , {"b" : 1}] ', JSON))
    assert (seen, output.body) == ([b"1.50", b'"\\u0041"', b'{"b" : 1}'], b'[1.50,"\\u0041",{"b" : 1}]')


async def test_a_route_runs_what_the_chooser_names(stages):
    node = route(is_long, long=value("cut"), short="size")
    assert [await stages.run(node, text) for text in ("ab", "abcdef")] == [2, "cut"]
    assert stages.asked == [("is_long", "ab"), ("short.size", "ab"), ("is_long", "abcdef")]


# failures


@pytest.mark.parametrize(
    ("node", "given", "where"),
    [
        pytest.param(sequence("same", "text"), 1, "text", id="in a sequence"),
        pytest.param(parallel(a="same", b="text"), 1, "b.text", id="in a branch"),
        pytest.param(each("text"), [1], "text[0]", id="in an item"),
        pytest.param(each(each("text")), [[], [1]], "text[1][0]", id="in an item of an item"),
        pytest.param(each(parallel(a=sequence("same", "text"))), [1], "a.text[0]", id="in a branch of an item"),
        pytest.param(route(is_long, long="text", short="text"), 1, "short.text", id="in a route"),
        pytest.param(sequence(stage("same", fallback="text"), "text"), 1, "text", id="after a fallback that was not needed"),
    ],
)
async def test_an_error_says_where_it_happened(stages, node, given, where):
    stages.fails["text"] = [InvalidInput("No.", [{"field": "x", "message": "m", "rule": "r"}])]
    with pytest.raises(InvalidInput) as caught:
        await stages.run(node, given)
    error = caught.value
    assert (error.stage, error.detail, error.errors[0]["field"]) == (where, f"{where}: No.", "x")


async def test_an_error_of_a_pipeline_within_has_both_paths(stages):
    inner = InvalidInput("b.text[2]: No.")
    inner.stage = "b.text[2]"
    stages.fails["same"] = [inner]
    with pytest.raises(InvalidInput) as caught:
        await stages.run(each("same"), [1])
    assert (caught.value.stage, caught.value.detail) == ("same[0]/b.text[2]", "same[0]/b.text[2]: No.")
    assert (inner.stage, inner.detail) == ("b.text[2]", "b.text[2]: No.")


async def test_where_one_fails_the_others_are_cancelled(stages):
    stages.fails["text"] = [WorkerDied("It died.")]
    with pytest.raises(WorkerDied):
        await stages.begin(parallel(a="text", b=sequence("same", "pair"), c="size"), 1, "same")
    assert stages.asked == [("a.text", 1), ("b.same", 1), ("c.size", 1)]
    assert (stages.cancelled, stages.running) == ([1], 0)


async def test_where_an_item_fails_those_that_follow_are_not_begun(stages):
    stages.fails["text"] = [InvalidInput("No.")]
    with pytest.raises(InvalidInput):
        await stages.run(each("text", max_parallel=2), list(range(50)))
    assert len(stages.asked) <= 4


async def test_who_is_cancelled_cancels_all_stages(stages):
    run = stages.begin(parallel(a="same", b=each("text", max_parallel=2)), [1, 2, 3], "same", "text")
    await until(lambda: stages.running == 3)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert stages.cancelled == [[1, 2, 3], 1, 2]


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [(b"[1", MalformedJson, "not strict JSON"), (b"{}", InvalidInput, "a list is wanted")],
    ids=["no JSON", "no list"],
)
async def test_a_list_that_the_caller_did_not_send_is_the_callers_fault(stages, body, kind, told):
    flow = stages.flow(each("text"))
    with pytest.raises(kind, match=rf"each\(text\): .*{told}") as caught:
        await flow.run(flow.node, Payload(body, JSON, is_callers=True))
    assert caught.value.stage == "each(text)"


async def test_a_list_that_a_stage_did_not_give_is_the_functions_fault(stages):
    with pytest.raises(FunctionFailed, match=r"each\(text\): What came out of the stage before"):
        await stages.run(sequence("same", each("text")), 1)


# tries, times, and what stands in


async def test_a_failed_stage_is_tried_again_after_growing_pauses(stages):
    stages.fails["text"] = [WorkerDied("Once."), WorkerDied("Twice.")]
    pauses = []
    loop = asyncio.get_running_loop()
    call_later = loop.call_later
    loop.call_later = lambda delay, *rest, **more: pauses.append(delay) or call_later(0, *rest, **more)
    assert await stages.run(stage("text", retry=retry(3, backoff_s=0.5)), 1) == "1"
    assert (len(stages.asked), pauses) == (3, [0.5, 1.0])


@pytest.mark.parametrize(
    ("tries", "errors", "times"),
    [
        pytest.param(retry(1, backoff_s=0), [WorkerDied("1"), WorkerDied("2")], 2, id="no more tries"),
        pytest.param(retry(3, on="timed_out", backoff_s=0), [WorkerDied("1")], 1, id="another error than those it is tried after"),
        pytest.param(retry(3, backoff_s=0), [WorkerDied("1"), InvalidInput("2")], 2, id="another error the second time"),
        pytest.param(None, [WorkerDied("1")], 1, id="no retry"),
    ],
)
async def test_a_stage_that_fails_for_good_fails_with_its_last_error(stages, tries, errors, times):
    stages.fails["text"] = list(errors)
    with pytest.raises(type(errors[-1]), match=f"text: {len(errors)}"):
        await stages.run(stage("text", retry=tries), 1)
    assert len(stages.asked) == times


async def test_nobody_pauses_beyond_the_callers_deadline(stages):
    stages.fails["text"] = [WorkerDied("Once.")]
    until_s = asyncio.get_running_loop().time() + 5
    with pytest.raises(WorkerDied):
        await stages.run(stage("text", retry=retry(1, backoff_s=9)), 1, until_s)


async def test_a_fallback_gets_the_same_input(stages):
    stages.fails["text"] = [WorkerDied("Once.")] * 2
    node = sequence("pair", stage("text", retry=retry(1, backoff_s=0), fallback=sequence("size", "same")))
    assert await stages.run(node, 1) == 6
    assert stages.asked == [("pair", 1), ("text", [1, 1]), ("text", [1, 1]), ("size", [1, 1]), ("same", 6)]


async def test_a_fallback_may_fail_and_have_one_too(stages):
    stages.fails |= {"text": [WorkerDied("Once.")], "size": [InvalidInput("No.")]}
    assert await stages.run(stage("text", fallback=stage("size", fallback=value("none"))), 1) == "none"


async def test_each_item_has_a_fallback_of_its_own(stages):
    stages.fails["text"] = [WorkerDied("Once.")]
    assert await stages.run(each(stage("text", fallback=value("?"))), [1, 2]) == ["?", "2"]


async def test_a_stage_past_its_time_is_stopped_and_told(stages):
    run = stages.begin(sequence("pair", each(stage("text", timeout_s=2))), 7, "text")
    await until(lambda: len(stages.asked) == 3)
    advance_timers(3)
    with pytest.raises(TimedOut, match=r"text\[0\]: It took longer than the 2 s that its pipeline gives it\.") as caught:
        await run
    assert (caught.value.stage, caught.value.billed) == ("text[0]", True)


async def test_each_try_has_its_time_and_then_its_fallback(stages):
    run = stages.begin(stage("text", timeout_s=2, retry=Retry(1, ("timed_out",), 0), fallback=value("late")), 7, "text")
    await until(lambda: stages.running == 1)
    advance_timers(3)
    await until(lambda: len(stages.asked) == 2)
    advance_timers(3)
    assert await run == "late"
    assert stages.cancelled == [7, 7]


async def test_the_limit_of_the_whole_is_told_as_a_functions(stages):
    run = stages.begin(stage(sequence("text"), timeout_s=2), 7, "text")
    await until(lambda: stages.running == 1)
    advance_timers(3)
    with pytest.raises(TimedOut, match=r"^p ran past its limit of 2 s and was stopped\. .* stage\(…, timeout_s=…\)") as caught:
        await run
    assert caught.value.stage == ""


async def test_a_stage_may_wait_for_as_long_as_the_callers_deadline_leaves(stages):
    assert stages.flow(value(1)).patience_s == 0
    loop = asyncio.get_running_loop()
    loop.time = lambda: 100.0
    flow = stages.flow(value(1), until_s=103.0)
    assert flow.patience_s == 3.0
    loop.time = lambda: 103.0
    with pytest.raises(Overloaded, match="p was not done before this call's deadline"):
        _ = flow.patience_s


async def test_all_or_none_of_one_needs_no_task():
    seen = []

    async def run() -> int:
        seen.append(asyncio.current_task())
        return 5

    assert await all_or_none([run()]) == [5]
    assert seen == [asyncio.current_task()]


async def test_all_or_none_waits_for_those_that_it_cancels():
    ended = []

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await settle()
            ended.append(1)

    async def broken() -> None:
        await settle()
        raise KeyError

    with pytest.raises(KeyError):
        await all_or_none([slow(), broken(), slow()])
    assert ended == [1, 1]


@pytest.mark.parametrize(
    ("is_over", "leaves", "ends"),
    [
        pytest.param(True, False, "late", id="its time is over"),
        pytest.param(False, True, "cancelled", id="its client leaves"),
        pytest.param(True, True, "cancelled", id="both at once"),
        pytest.param(False, False, "done", id="neither"),
    ],
)
async def test_who_is_cancelled_by_a_limit_is_so_no_longer_and_who_is_by_others_stays_it(is_over, leaves, ends):
    made: list[Limit] = []
    door = asyncio.Event()

    async def work() -> str:
        made.append(Limit(60))
        try:
            await door.wait()
        except asyncio.CancelledError:
            if not made[0].is_over:
                raise
        finally:
            made[0].end()
        await asyncio.sleep(0)
        return "late" if made[0].is_over else "done"

    task = asyncio.create_task(work())
    await until(lambda: bool(made))
    if is_over:
        advance_timers(61)
        await until(lambda: made[0].is_over)
    if leaves:
        task.cancel()
    door.set()
    (end,) = await asyncio.gather(task, return_exceptions=True)
    assert ("cancelled" if isinstance(end, asyncio.CancelledError) else end) == ends
