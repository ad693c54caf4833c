"""A plan as people read it, as it is drawn, and what is said where something is missing."""

import pytest

from servelite.cli.output import print_page
from servelite.cli.picture import draw_costs
from servelite.cli.plan_page import as_drawn, as_page
from servelite.tools.planning.demand import Demand
from servelite.tools.planning.options import Lambda, Server
from servelite.tools.planning.plan import Plan, make_plan
from tests.cli.test_usage_picture import size
from tests.tools.planning.profiles import MS, S, a_profile

SERVER = Server(100, 2)
FEW = Demand(0.01, "day")


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]):
    """Return a reader of a plan's page, line by line, without the empty ones."""

    def read(plan: Plan) -> list[str]:
        print_page(as_page(plan))
        return [line for line in capsys.readouterr().out.splitlines() if line]

    return read


def test_it_says_what_was_measured_asked_and_found(lines):
    measured, asked, columns, *rows, even = lines(make_plan(a_profile(), FEW, Lambda(), SERVER))
    assert measured == "f, measured here with its examples: a call 10 ms, 8 at once in 17 ms, a cold start 400 ms, 80 MiB at its peak."
    assert asked.startswith(
        "0.01 calls a second on average, 0.0258 in the busiest minute of the pattern 'day': 26,280 in a month of 730 hours."
    )
    assert columns.split("  ")[-1] == "busy at once"
    assert [row[:18].rstrip() for row in rows][:2] == ["Lambda 128 MB", "Lambda 256 MB"]
    assert rows[-1].split() == ["1", "server,", "2", "cores", "0.0730", "USD", "2.78", "USD", "-", "10.2", "ms", "10.2", "ms", "1"]
    (cheapest,) = [row for row in rows if row.endswith("cheapest")]
    assert cheapest.startswith("Lambda")
    assert even.startswith("Break-even: from 0.0")
    assert even.endswith("a server at 0.000100 USD an hour costs less than the best memory size of Lambda.")


@pytest.mark.parametrize(
    ("server", "profile", "says"),
    [
        (
            Server(600_000, 1),
            {"alone_us": (20 * S,), "batches_us": ((1, 20 * S),), "max_batch": 1},
            "Break-even: none. A server at 0.6000 USD an hour is full",
        ),
        (Server(1), {"init_us": 9 * S}, "Break-even: servers at 0.000001 USD an hour are the cheaper ones at any rate."),
        (SERVER, {"peak_kib": 120 * 1024}, "Left out: 128 MB, too small for the 120 MiB that it held."),
    ],
    ids=["never", "always", "sizes left out"],
)
def test_what_is_special_is_said(lines, server, profile, says):
    assert [line for line in lines(make_plan(a_profile(**profile), FEW, Lambda(), server)) if line.startswith(says)]


def test_what_will_not_do_is_said(lines):
    told = lines(make_plan(a_profile(), FEW, Lambda(), SERVER, p95_us=10))
    assert "No number of servers answers within 0.01 ms." in told
    assert told[-1].startswith("Nothing here will do. Ask for less")
    assert sum(line.endswith("too slow") for line in told) == 6
    assert not [line for line in told if line.endswith("cheapest")]


def test_what_is_refused_is_told_in_its_row(lines):
    slow = a_profile(alone_us=(2 * S,), batches_us=((1, 2 * S),), max_batch=1)
    told = lines(make_plan(slow, Demand(0.5, "steady"), Lambda(concurrency=1)))
    assert [line for line in told if "  refuses " in line and line.endswith("%")]


@pytest.mark.slow
def test_what_both_cost_is_drawn(tmp_path):
    costs = as_drawn(make_plan(a_profile(), Demand(0.003, "day"), Lambda(), SERVER))
    assert (costs.asked_rps, len(costs.rates)) == (0.003, len(costs.lambda_micro))
    assert costs.even_rps is not None
    assert set(costs.fleet_micro) == {73_000}
    assert costs.lambda_micro[0] < 73_000 < costs.lambda_micro[-1]
    draw_costs(tmp_path / "costs.png", costs)
    assert size(tmp_path / "costs.png") == (1600, 768)


def test_where_lambda_will_not_do_servers_are_drawn_alone(tmp_path):
    """At so few calls more than five of a hundred are cold there."""
    costs = as_drawn(make_plan(a_profile(), Demand(0.0005, "steady"), Lambda(), SERVER, 11 * MS))
    assert costs.subtitle.endswith("as asked; no memory size of Lambda will do")
    assert costs.even_rps is None
    assert set(costs.lambda_micro) == {None}
    draw_costs(tmp_path / "costs.png", costs)
    assert size(tmp_path / "costs.png") == (1600, 768)
