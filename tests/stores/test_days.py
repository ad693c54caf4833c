"""`days` holds exactly the sums of `calls`, however rows came in: what the trigger made is what a sum over all rows says."""

from collections import defaultdict

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servelite.core.month import DAY_US
from servelite.core.ports import Row
from servelite.stores.retention import let_go
from servelite.stores.sums import KEY_OF_DAYS, SUMS

few = st.sampled_from(["", "a", "b", "Ä"])
times_us = st.integers(0, 2**40)

rows = st.builds(
    Row,
    id=st.integers(0, 30).map(lambda number: f"{number:032x}"),  # few, so that some come twice
    at_us=st.sampled_from([0, 1, DAY_US - 1, DAY_US, 5 * DAY_US + 7, 20_000 * DAY_US]),
    account=few,
    function=few,
    status=st.just(200),
    code=st.sampled_from(["ok", "timed_out"]),
    queue_us=times_us,
    init_us=times_us,
    compute_us=times_us,
    cpu_us=times_us,
    peak_kib=times_us,
    batch=st.just(1),
    bytes_in=times_us,
    bytes_out=times_us,
    cold=st.just(0),
    billed_us=st.sampled_from([0, 1, 999_999, 1_000_000, 1_000_001]) | times_us,
    key_id=few,
    version=st.just("v"),
    parent=st.just(""),
    stage=few,
    memory_mib=st.sampled_from([0, 1, 127, 128, 129, 4096]),
    cost_pico=times_us,
    gateway=few,
    mib_us=times_us,
)


def sums(every: list[Row]) -> dict[tuple[object, ...], list[int]]:
    """Sum rows as the ledger should, in Python."""
    days: dict[tuple[object, ...], list[int]] = defaultdict(lambda: [0] * len(SUMS))
    for one in every:
        key = one.at_us // DAY_US, one.account, one.key_id, one.function, one.stage, one.gateway
        of_one = {
            "calls": 1,
            "failed": int(one.code != "ok"),
            "compute_us": one.compute_us,
            "cpu_us": one.cpu_us,
            "billed_us": one.billed_us,
            "cost_pico": one.cost_pico,
            "billed_calls": int(one.billed_us > 0),
            "mib_us": one.mib_us,
            "whole_s": -(-one.compute_us // 1_000_000) if one.billed_us else 0,
            "lambda_mib_ms": -(-one.compute_us // 1000) * max(one.memory_mib, 128),
        }
        days[key] = [before + of_one[name] for before, name in zip(days[key], SUMS, strict=True)]
    return dict(days)


def held(db) -> dict[tuple[object, ...], list[int]]:
    found = db.query(f"SELECT {', '.join([*KEY_OF_DAYS, *SUMS])} FROM days")
    return {tuple(one[: len(KEY_OF_DAYS)]): list(one[len(KEY_OF_DAYS) :]) for one in found}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(batches=st.lists(st.lists(rows, max_size=20), max_size=6))
def test_days_are_the_sums_of_all_rows_that_ever_came_in(db, batches):
    db.query("DELETE FROM calls")
    db.query("DELETE FROM days")
    came: dict[str, Row] = {}
    for batch in batches:
        db.insert("calls", Row._fields, "id", batch)
        for one in batch:
            came.setdefault(one.id, one)
        assert held(db) == sums(list(came.values()))
    assert sorted(map(Row._make, db.query(f"SELECT {', '.join(Row._fields)} FROM calls"))) == sorted(came.values())
    while let_go(db, 30_000 * DAY_US, 1):
        pass
    assert db.query("SELECT count(*) FROM calls") == [(0,)]
    assert held(db) == sums([one._replace(gateway="") for one in came.values()])
