"""SLOs: read, refused with a cure, held against what was measured."""

import pytest

from servelite.core.errors import DefinitionError
from servelite.tools.loadtest.slo import Objective, missed, parse_slo, said_us
from tests.tools.loadtest.books import said


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("p95=50ms,errors=0", (Objective("p95", 50_000), Objective("errors", 0))),
        (" p50 = 1.5 ms , p99=2s", (Objective("p50", 1_500), Objective("p99", 2_000_000))),
        ("p50=900us", (Objective("p50", 900),)),
        ("errors=0.5%", (Objective("errors", 0.005, is_share=True),)),
        ("rps=120", (Objective("rps", 120),)),
    ],
)
def test_it_is_read(text: str, read: tuple[Objective, ...]) -> None:
    assert parse_slo(text) == read


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("p97=50ms", "'p97' is no metric of an SLO. There are p50, p95, p99, errors, rps. Write for example p95=50ms,errors=0."),
        ("p95=50", "'p95=50': a time has a unit, us, ms or s. Write for example p95=50ms."),
        ("p95=50m", "a time has a unit"),
        ("p95=fast", "'p95=fast' gives p95 no bound. Write for example p95=50ms,errors=0."),
        ("p95", "'p95' gives p95 no bound."),
        ("p95=-5ms", "gives p95 no bound"),
        ("errors=1ms", "errors is a number, and 'ms' none of its units. Write for example errors=0, or errors=1%."),
        ("rps=100%", "rps is a number, and '%' none of its units. Write for example rps=100."),
        ("p95=1ms,p95=2ms", "has two bounds for p95. Give it one."),
        (" , ", "The SLO is empty. Write for example p95=50ms,errors=0."),
    ],
)
def test_what_it_can_not_be_is_told_with_the_cure(text: str, says: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        parse_slo(text)
    assert says in raised.value.detail


@pytest.mark.parametrize(
    ("text", "fields", "is_met"),
    [
        ("p95=20ms", {"p95_us": 20_000}, True),
        ("p95=20ms", {"p95_us": 20_001}, False),
        ("p95=20ms", {"p95_us": None}, False),
        ("errors=0", {"failed": 0}, True),
        ("errors=0", {"failed": 1}, False),
        ("errors=1%", {"failed": 1, "calls": 100}, True),
        ("errors=1%", {"failed": 2, "calls": 100}, False),
        ("rps=10", {"rps": 10.0}, True),
        ("rps=10", {"rps": 9.9}, False),
    ],
)
def test_it_is_held_against_what_was_measured(text: str, fields: dict[str, float | None], is_met: bool) -> None:
    assert (missed(parse_slo(text), said(**fields)) == []) is is_met


def test_it_says_itself_and_what_was_seen() -> None:
    row = said(p95_us=12_345, failed=3, calls=1_000, rps=99.95)
    told = [(f"{one}", one.seen(row)) for one in parse_slo("p95=50ms,errors=0.50%,rps=100")]
    assert told == [("p95 <= 50 ms", "12.3 ms"), ("errors <= 0.5%", "3 of 1,000"), ("rps >= 100", "100.0")]
    assert [f"{one}" for one in parse_slo("errors=10%")] == ["errors <= 10%"]
    assert [f"{one}" for one in parse_slo("errors=10")] == ["errors <= 10"]


@pytest.mark.parametrize(
    ("us", "said_"), [(None, "-"), (7, "7 µs"), (999.4, "999 µs"), (999.7, "1 ms"), (1_234_567, "1.23 s"), (5e9, "5,000 s")]
)
def test_times_are_written_to_three_digits(us: float | None, said_: str) -> None:
    assert said_us(us) == said_
