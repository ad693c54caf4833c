"""Calls with an Idempotency-Key: run once, answered as often as asked."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from servelite.core.call import Answer, Call, Receipt
from servelite.core.errors import AnswerNotKept, FunctionFailed, IdempotencyKeyInUse, IdempotencyKeyReused, LedgerUnavailable, NoWorker
from servelite.core.ports import CLAIM_US, Kept
from servelite.core.ports import KEEP_ANSWERS_US as KEEP_US
from servelite.runtime import repeats as room
from servelite.runtime.repeats import MOST_ANSWER_BYTES, Repeats, _fingerprint
from tests.runtime.fakes import Clock, settle

pytestmark = pytest.mark.anyio

RECEIPT = Receipt(compute_us=7, billed_us=7)


@dataclass
class Rig:
    """Repeats, the runs behind it, and the ledger's database, which has what was moved there."""

    with_database: bool = True
    clock: Clock = field(default_factory=Clock)
    ran: list[bytes] = field(default_factory=list)
    door: asyncio.Event = field(default_factory=asyncio.Event)
    recorded: list[Kept] = field(default_factory=list)
    moved: dict[tuple[str, str], Kept] = field(default_factory=dict)
    elsewhere: dict[tuple[str, str], str] = field(default_factory=dict)
    claimed: list[tuple[str, str]] = field(default_factory=list)
    given_back: list[tuple[str, str]] = field(default_factory=list)
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.door.set()
        self.repeats = Repeats("gate", self.clock, self if self.with_database else None)

    async def claim(self, account: str, repeat_key: str, fingerprint: str) -> Kept | str | None:
        who = account, repeat_key
        if who in self.moved:
            return self.moved[who]
        if who not in self.elsewhere:
            self.claimed.append(who)
        return self.elsewhere.get(who)

    async def give_back(self, account: str, repeat_key: str) -> None:
        self.given_back.append((account, repeat_key))

    async def ask(self, body: bytes = b"in", key: str = "k", account: str = "ada", function: str = "f", id_: str = "1") -> Answer:
        call = Call(id_, function, body=body, account=account, repeat_key=key)

        async def run() -> Answer:
            self.ran.append(body)
            await self.door.wait()
            if isinstance(self.error, NoWorker):
                raise self.error
            answer = Answer(body.upper(), "text/plain", replace(RECEIPT), self.error)
            self.recorded.append(self.repeats.kept(call, self.clock(), answer))
            self.repeats.hold(self.recorded[-1])
            return answer

        answer = await self.repeats.answer(call, run)
        answer.media_type += f" {call.id}"
        return answer

    def move(self) -> None:
        """Bring what was recorded into the database."""
        self.moved |= {(one.account, one.repeat_key): one for one in self.recorded}
        self.repeats.arrived(self.clock())


@pytest.fixture
def rig():
    return Rig()


@pytest.mark.parametrize("is_moved", [False, True], ids=["still here", "from the database"])
async def test_the_same_call_gets_the_first_answer_and_is_run_once(rig, is_moved):
    first = await rig.ask(id_="1")
    if is_moved:
        rig.move()
        assert rig.repeats._fresh == {}
    again = await rig.ask(id_="2")
    assert rig.ran == [b"in"]
    assert (again.body, again.receipt, again.error) == (first.body, RECEIPT, None)
    assert (first.is_repeated, again.is_repeated) == (False, True)
    assert again.media_type == first.media_type == "text/plain 1"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"body": b"other"}, id="another body"),
        pytest.param({"function": "g"}, id="another function"),
    ],
)
@pytest.mark.parametrize("state", ["runs", "here", "moved"])
async def test_another_call_with_the_same_key_is_refused(rig, changes, state):
    if state == "runs":
        rig.door.clear()
    first = asyncio.create_task(rig.ask())
    await settle()
    if state == "moved":
        rig.move()
    with pytest.raises(IdempotencyKeyReused, match="'k' was used before, for another function or body"):
        await rig.ask(**changes)
    rig.door.set()
    await first
    assert rig.ran == [b"in"]


@pytest.mark.parametrize("changes", [{"key": "other"}, {"account": "bob"}], ids=["another key", "another account"])
async def test_what_others_do_does_not_matter(rig, changes):
    await rig.ask()
    await rig.ask(**changes)
    assert rig.ran == [b"in", b"in"]


async def test_while_the_first_runs_the_second_is_told_so(rig):
    rig.door.clear()
    first = asyncio.create_task(rig.ask())
    await settle()
    with pytest.raises(IdempotencyKeyInUse, match="'k' still runs") as caught:
        await rig.ask()
    assert caught.value.retry_after_s == 1
    rig.door.set()
    await first
    assert (await rig.ask()).is_repeated


async def test_an_error_that_was_billed_is_an_answer_too(rig):
    rig.error = FunctionFailed("f failed on this input.", [{"field": "a", "message": "m", "rule": "r"}])
    await rig.ask()
    rig.move()
    again = await rig.ask()
    assert (type(again.error), again.error.detail, again.error.errors) == (FunctionFailed, rig.error.detail, rig.error.errors)
    assert len(rig.ran) == 1


async def test_a_refused_call_may_be_sent_again(rig):
    rig.error = NoWorker("f has no worker.")
    with pytest.raises(NoWorker):
        await rig.ask()
    rig.error = None
    assert not (await rig.ask()).is_repeated


async def test_an_answer_is_kept_for_a_day(rig):
    await rig.ask()
    rig.move()
    rig.clock.us += KEEP_US - 1
    assert (await rig.ask()).is_repeated
    rig.clock.us += 1
    assert not (await rig.ask()).is_repeated
    assert len(rig.ran) == 2


async def test_a_day_ends_for_an_answer_that_has_not_been_moved_too(rig):
    await rig.ask()
    rig.clock.us += KEEP_US
    assert not (await rig.ask(id_="2")).is_repeated
    rig.move()
    assert rig.repeats._fresh == {}
    assert rig.repeats._fresh_bytes.total() == 0


async def test_a_long_answer_is_not_kept_and_not_run_again(rig):
    body = b"x" * (MOST_ANSWER_BYTES + 1)
    first = await rig.ask(body)
    assert len(first.body) == len(body)
    for _ in range(2):
        with pytest.raises(AnswerNotKept, match=r"'k' was answered, with 1,048,577 bytes, more than the 1,048,576 that are kept"):
            await rig.ask(body)
        rig.move()
    assert len(rig.ran) == 1
    assert rig.recorded[0].body == b""


async def test_a_database_that_does_not_take_answers_stops_calls_whose_answers_could_be_lost(rig, monkeypatch):
    monkeypatch.setattr(room, "SHARE_BYTES", 1000)
    await rig.ask(key="a")
    await rig.ask(key="b")
    with pytest.raises(LedgerUnavailable, match="can't be kept at the moment"):
        await rig.ask(key="c")
    assert (await rig.ask(key="a")).is_repeated
    rig.move()
    assert not (await rig.ask(key="c")).is_repeated


async def test_without_a_database_the_oldest_answers_go(monkeypatch):
    monkeypatch.setattr(room, "SHARE_BYTES", 1100)
    rig = Rig(with_database=False)
    for key in "abcd":
        await rig.ask(key=key)
    assert (await rig.ask(key="d")).is_repeated
    assert not (await rig.ask(key="a")).is_repeated


async def test_answers_are_let_go_as_they_arrive(rig):
    await rig.ask(key="a")
    rig.clock.us += 10
    await rig.ask(key="b")
    rig.repeats.arrived(rig.clock.us - 1)
    assert [key for _, key in rig.repeats._fresh] == ["b"]


async def test_what_is_kept_says_all_that_an_answer_is(rig):
    await rig.ask(b"in", id_="77")
    (kept,) = rig.recorded
    assert kept._replace(fingerprint="", receipt="") == Kept("ada", "k", "", "77", rig.clock.us, "text/plain", b"IN", "", "", "gate")


async def test_one_account_fills_its_own_share_only(rig, monkeypatch):
    monkeypatch.setattr(room, "SHARE_BYTES", 1000)
    await rig.ask(key="a", account="greedy")
    await rig.ask(key="b", account="greedy")
    with pytest.raises(LedgerUnavailable):
        await rig.ask(key="c", account="greedy")
    assert not (await rig.ask(key="c", account="ada")).is_repeated


async def test_a_receipt_that_another_version_wrote_is_read_as_far_as_it_is_known(rig):
    await rig.ask()
    kept = rig.recorded[0]
    rig.recorded[0] = kept._replace(receipt=kept.receipt.replace("{", '{"new_us": 5, ', 1))
    rig.move()
    assert (await rig.ask()).receipt == RECEIPT


async def test_a_long_body_is_told_from_another_by_its_last_byte(rig):
    body = b"x" * 200_000
    await rig.ask(body)
    assert (await rig.ask(body)).is_repeated
    with pytest.raises(IdempotencyKeyReused):
        await rig.ask(body[:-1] + b"y")


async def test_what_another_gateway_runs_is_not_run_here(rig):
    rig.elsewhere[("ada", "k")] = _fingerprint(Call("1", "f", body=b"in"))
    with pytest.raises(IdempotencyKeyInUse):
        await rig.ask()
    with pytest.raises(IdempotencyKeyReused):
        await rig.ask(b"other")
    assert (rig.ran, rig.repeats._running) == ([], {})
    rig.elsewhere.clear()
    await rig.ask()
    assert rig.ran == [b"in"]


async def test_a_key_is_given_back_only_where_its_call_was_not_run(rig):
    await rig.ask(key="a")
    rig.error = NoWorker("f has no worker.")
    with pytest.raises(NoWorker):
        await rig.ask(key="b")
    assert (rig.claimed, rig.given_back) == ([("ada", "a"), ("ada", "b")], [("ada", "b")])


async def test_a_key_is_held_on_to_until_its_answer_has_arrived(rig):
    rig.door.clear()
    asked = asyncio.create_task(rig.ask())
    await settle()
    assert rig.repeats.to_renew() == []
    rig.clock.us += CLAIM_US // 2 + 1
    assert rig.repeats.to_renew() == [("ada", "k")]
    assert rig.repeats.to_renew() == []
    rig.door.set()
    await asked
    rig.clock.us += CLAIM_US // 2 + 1
    assert rig.repeats.to_renew() == [("ada", "k")]
    rig.clock.us += CLAIM_US // 2 + 1
    rig.move()
    assert rig.repeats.to_renew() == []


async def test_an_error_of_very_many_words_is_cut(rig):
    rig.error = FunctionFailed("x" * 100_000, [{"field": "a" * 100_000, "message": "m", "rule": "r"}])
    await rig.ask()
    assert len(rig.recorded[0].problem) < 5000
    again = await rig.ask()
    assert (type(again.error), again.error.detail[:3]) == (FunctionFailed, "xxx")
