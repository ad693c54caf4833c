"""Calls that handlers make, on fake workers behind a real engine: what they are, how deep they go, who pays."""

import asyncio

import pytest

from servelite.core.accounts import Allowance
from servelite.core.call import Question
from servelite.core.errors import (
    FunctionFailed,
    FunctionNotFound,
    QuotaExhausted,
    ShuttingDown,
    UnsupportedMediaType,
)
from servelite.core.tariff import Tariff
from servelite.runtime.children import MOST_DEPTH
from tests.runtime.bench import S
from tests.runtime.fakes import settle, until
from tests.runtime.town import ALONE, Town, chain

pytestmark = pytest.mark.anyio

# what a child is


async def test_a_child_is_a_call_of_its_own_with_its_parents_account_and_key(town):
    made = await town({"f": {}, "g": {}})
    task = made.send("f", chain("g"), account="acme", key_id="k1")
    assert await made.told(task) == [2]
    child, parent = made.ledger.rows
    assert (parent.function, parent.parent, parent.stage) == ("f", "", "")
    assert (child.function, child.parent, child.stage, child.account, child.key_id) == ("g", parent.id, "", "acme", "k1")
    assert (parent.compute_us, child.compute_us) == (1000, 1000)
    assert task.result().receipt.billed_us == 1000


async def test_a_child_waits_no_longer_for_a_worker_than_its_parent_may_run(town):
    made = await town({"f": {"timeout_s": 3}, "g": {}})
    made.halls["f"].run_us = 1 * S
    await made.told(made.send("f", chain("g")))
    assert [call.patience_s for call in made.halls["g"].batches[0]] == [pytest.approx(2)]


async def test_children_of_a_batch_are_told_apart(town):
    made = await town({"f": {"max_batch": 8}, "g": {}})
    tasks = [made.send("f", chain("g")) for _ in range(3)]
    assert await made.told(*tasks) == [2, 2, 2]
    parents = {row.id for row in made.ledger.rows if row.function == "f"}
    assert {row.parent for row in made.ledger.rows if row.function == "g"} == parents
    assert len(parents) == 3


async def test_an_error_of_a_child_names_it_and_is_told_to_its_parent(town):
    made = await town({"f": {}, "g": {}})
    (told,) = await made.told(task := made.send("f", chain("nothing")))
    assert told is FunctionNotFound
    error = task.result().error
    assert error.stage == "nothing"
    assert error.detail.startswith("No function named 'nothing' is served. Functions here: f, g. A handler can call what is served: ")


async def test_a_child_takes_the_same_road_as_any_call(town):
    made = await town({"f": {}, "g": {}})
    parent = made.send("f")
    await made.told(parent)
    call = made.halls["f"].batches[0][0]
    with pytest.raises(UnsupportedMediaType):
        await made.engine.children.call(call, Question(1, call.id, "g", "image/png", b""), 1.0)


async def test_a_server_that_drains_lets_what_runs_make_its_calls(town):
    made = await town({"f": {}, "g": {}})
    made.halls["f"].door.clear()
    running = made.send("f", chain("g"))
    await until(lambda: made.halls["f"].batches)
    draining = asyncio.create_task(made.engine.drain())
    await settle()
    assert await made.told(made.send("g")) == [ShuttingDown]
    made.halls["f"].door.set()
    assert await made.told(running) == [2]
    await draining


# depth


@pytest.mark.parametrize("names", [["f"], ["f", "g"]], ids=["one that calls itself", "two that call each other"])
async def test_handlers_call_each_other_as_deep_as_may_be_and_no_deeper(town, names):
    made = await town(dict.fromkeys(("f", "g"), ALONE))
    deep = [names[number % len(names)] for number in range(MOST_DEPTH + 2)]
    assert await made.told(made.send(deep[0], chain(*deep[1:-1]))) == [MOST_DEPTH + 1]
    (told,) = await made.told(task := made.send(deep[0], chain(*deep[1:])))
    assert told is FunctionFailed
    assert "handlers may call each other 24 deep, and no deeper. Does one call itself without end?" in task.result().error.detail


async def test_the_workers_of_a_depth_serve_the_next_call_too(town):
    made = await town({"f": ALONE})
    for _ in range(3):
        assert await made.told(made.send("f", chain("f", "f"))) == [3]
    assert made.workers("f") == 3
    assert made.states("f") == ["idle"] * 3


async def test_workers_beyond_max_workers_end_sooner(town):
    made = await town({"f": ALONE})
    assert await made.told(made.send("f", chain("f", "f"))) == [3]
    made.clock.us += 9 * S
    made.pools["f"].look()
    assert made.states("f") == ["idle"] * 3
    made.clock.us += 1 * S
    made.pools["f"].look()
    await until(lambda: made.states("f") == ["idle"])


# accounts


async def test_a_child_uses_its_accounts_quota_and_is_refused_when_that_is_used_up(town):
    made = await town({"f": {}, "g": {}}, tariff=Tariff(free_s=1), local=Allowance(credit_micro=0))
    made.halls["g"].compute_us = 2 * S
    (told,) = await made.told(task := made.send("f", [*chain("g"), *chain("g")]))
    assert told is QuotaExhausted
    assert "g: Account local has used 2.000 seconds this month" in task.result().error.detail
    assert [row.function for row in made.ledger.rows] == ["g", "f"]


async def test_what_a_parent_holds_back_its_children_may_use(town):
    made = await town({"f": {"timeout_s": 100}, "g": {"timeout_s": 100}}, tariff=Tariff(free_s=1), local=Allowance(credit_micro=0))
    assert await made.told(made.send("f", chain("g", "f", "g"))) == [4]


async def test_what_others_hold_back_a_child_may_not_use(town):
    made = await town({"f": {"timeout_s": 5}, "g": {}, "h": {}}, tariff=Tariff(free_s=10), local=Allowance(credit_micro=0))
    made.halls["h"].door.clear()
    made.halls["f"].door.clear()
    parent = made.send("f", chain("g"))
    await until(lambda: made.halls["f"].batches)
    other = made.send("h")
    await until(lambda: made.halls["h"].batches)
    made.halls["f"].door.set()
    assert await made.told(parent) == [QuotaExhausted]
    made.halls["h"].door.set()
    assert await made.told(other) == [1]


async def test_rates_are_for_clients_calls(town):
    made = await town({"f": {}, "g": {}}, local=Allowance(concurrent_calls=1, calls_per_s=1.0))
    assert await made.told(made.send("f", [*chain("g", "g"), *chain("g")])) == [4]
    (account,) = made.accounts.quotas._accounts.values()
    assert (account.running, account.held_units) == (0, 0)


async def test_a_repeated_call_makes_its_calls_once(town):
    made = await town({"f": {}, "g": {}})
    assert await made.told(made.send("f", chain("g"), repeat_key="k")) == [2]
    assert await made.told(again := made.send("f", chain("g"), repeat_key="k")) == [2]
    assert again.result().is_repeated
    assert [row.function for row in made.ledger.rows] == ["g", "f"]


# functions that stand beside


async def test_a_function_that_stands_beside_is_added_once_for_all_who_ask(town):
    made = await town({"f": {"max_workers": 2}, "g": {}}, cores=2)
    pool = made.engine.pools.pop("g")
    found = []

    def find(name: str, beside: str):
        found.append((name, beside))
        return pool if name == "g" else None

    made.engine._starting._find_stage = find
    made.engine.children.add = made.engine.add
    await pool.stop()
    again = Town({"g": {}})
    pool = again.pools["g"]
    assert await made.told(*[made.send("f", chain("g")) for _ in range(3)]) == [2, 2, 2]
    assert found == [("g", "f")]
    (told,) = await made.told(task := made.send("f", chain("nothing")))
    assert (told, task.result().error.detail) == (
        FunctionNotFound,
        "No function named 'nothing' stands beside f, which calls it. Put its folder there.",
    )
