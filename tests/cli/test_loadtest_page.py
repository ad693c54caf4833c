"""What `servelite loadtest` prints, draws and writes, of books that are known."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from servelite.cli.loadtest_page import Report, as_html, as_json, as_page, draw
from servelite.cli.output import print_page
from servelite.core.tariff import Tariff
from servelite.tools.loadtest.book import Book
from servelite.tools.loadtest.capacity import Capacity, Step
from servelite.tools.loadtest.running import Run
from servelite.tools.loadtest.slo import parse_slo
from servelite.tools.loadtest.texts import COLUMNS
from tests.cli.test_usage_picture import size
from tests.tools.loadtest.books import a_book, said


def a_report(book: Book | None = None, slo: str = "", **fields: Any) -> Report:
    objectives = parse_slo(slo) if slo else ()
    return Report("functions/f", fields.pop("run", Run(10, users=2)), book or a_book(*[10] * 200), Tariff(), objectives, **fields)


def printed(report: Report, capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_page(as_page(report))
    return capsys.readouterr().out.splitlines()


def test_a_load_is_told_in_a_sentence_and_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    first, _, columns, one, total = printed(a_report(), capsys)
    assert first == "functions/f: 2 users; 200 calls in 2.0 s, by Locust in 1 process."
    assert re.split("  +", columns.strip()) == list(COLUMNS[1:])
    cells = ["f", "100", "9.98 ms", "9.98 ms", "9.98 ms", "0", "1.000", "0.5000 USD", "1.00", "10%"]
    assert (re.split("  +", one), re.split("  +", total)) == (cells, ["all", *cells[1:]])


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (Run(10), "1 user;"),
        (Run(10, users=1_000, shape="ramp"), "1,000 users, ramp;"),
        (Run(10, rps=12.5, processes=2), "12.5 calls a second;"),
        (Run(10, sizes="long-tail"), "1 user, some inputs much longer than the examples;"),
    ],
)
def test_the_load_says_what_was_asked(run: Run, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"functions/f: {says}" in printed(a_report(run=run), capsys)[0]


@pytest.mark.parametrize(
    ("slo", "is_fine", "verdict", "lines"),
    [
        ("p95=50ms,errors=0", True, "The SLO was kept.", ["p95 <= 50 ms 9.98 ms held", "errors <= 0 0 of 200 held"]),
        ("p95=5ms,errors=0", False, "The SLO was missed: p95 <= 5 ms.", ["p95 <= 5 ms 9.98 ms MISSED", "errors <= 0 0 of 200 held"]),
    ],
)
def test_an_slo_is_told_bound_by_bound(slo: str, is_fine: bool, verdict: str, lines: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    report = a_report(slo=slo)
    told = printed(report, capsys)
    assert report.is_fine is is_fine
    assert told[-1] == verdict
    assert [" ".join(line.split()) for line in told[-4:-2]] == lines


def test_errors_are_told_and_without_a_right_answer_nothing_is_fine(capsys: pytest.CaptureFixture[str]) -> None:
    report = a_report(a_book(failed=3))
    told = printed(report, capsys)
    assert told[-1] == "Nothing was answered rightly."
    assert " ".join(told[-3].split()) == "f overloaded 3 It is busy."
    assert not report.is_fine


def test_errors_alone_are_no_failure_where_no_slo_says_so() -> None:
    assert a_report(a_book(10, failed=3)).is_fine
    assert not a_report(a_book(10, failed=3), "errors=2").is_fine


def test_a_load_that_was_in_its_own_way_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    book = a_book(10)
    book.busy = {"one": 0.2, "two": 0.97}
    assert "Locust wanted a core 97% of the time" in printed(a_report(book), capsys)[-1]


def steps(*tried: tuple[float, bool]) -> tuple[Step, ...]:
    return tuple(Step(rps, said(rps=rps), kept, 0.25) for rps, kept in tried)


@pytest.mark.parametrize(
    ("capacity", "says"),
    [
        (Capacity(steps((16, True), (32, False)), 16, 32, is_limited=False), "Up to 16 calls a second keep p95 <= 50 ms; 32 do not."),
        (Capacity(steps((1, False)), None, 1, is_limited=False), "No rate keeps p95 <= 50 ms."),
        (Capacity(steps((16, True)), 16, None, is_limited=False), "At least 16 calls a second keep p95 <= 50 ms."),
        (
            Capacity(steps((16, True), (32, False)), 16, 32, is_limited=True),
            "At least 16 calls a second keep p95 <= 50 ms. Then Locust itself was the bottleneck",
        ),
    ],
)
def test_a_search_tells_each_step_and_what_it_found(capacity: Capacity, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    report = a_report(slo="p95=50ms", capacity=capacity)
    told = printed(report, capsys)
    assert told[-1].startswith(says)
    shown = [(line.split()[0], line.split()[-1]) for line in told[3 : 3 + len(capacity.steps)]]
    assert shown == [(f"{one.rps:g}", "held" if one.kept else "missed") for one in capacity.steps]
    assert report.is_fine is (capacity.kept_rps is not None)


def test_json_has_all_of_it() -> None:
    capacity = Capacity(steps((16, True)), 16, None, is_limited=False)
    told = json.loads(json.dumps(as_json(a_report(a_book(*[10] * 150, failed=1), "p95=50ms,errors=0", capacity=capacity))))
    assert [one["name"] for one in told["rows"]] == ["f", "all"]
    assert (told["rows"][1]["calls"], told["rows"][1]["failed"], told["rows"][1]["compute_us"]) == (151, 1, 750_000)
    assert told["errors"] == [{"function": "f", "code": "overloaded", "count": 1, "words": "It is busy."}]
    assert [(one["metric"], one["kept"]) for one in told["objectives"]] == [("p95", True), ("errors", False)]
    assert (told["capacity"]["kept_rps"], told["capacity"]["steps"][0]["rps"]) == (16, 16)
    assert told["moments"][0] == {
        "at_s": 0,
        "rps": 100,
        "failed_ps": 0,
        "p50_us": pytest.approx(10_000, rel=0.01),
        "p95_us": pytest.approx(10_000, rel=0.01),
    }
    assert (told["currency"], told["run"]["users"]) == ("USD", 2)


def test_little_of_a_moment_is_left_out_and_rates_are_of_what_there_was() -> None:
    told = as_json(a_report(a_book(*[10] * 110, begun_s=1000.5)))
    assert [(one["at_s"], one["rps"]) for one in told["moments"]] == [(0, pytest.approx(100, abs=3)), (1, pytest.approx(100, abs=3))]
    assert sum(one.times.total() for one in a_book(*[10] * 110, begun_s=1000.5).moments.values()) == 110


@pytest.mark.parametrize("book", [a_book(*[10] * 500, failed=20), a_book(failed=2), Book()], ids=["a load", "only errors", "nothing"])
def test_a_picture_is_drawn(tmp_path: Path, book: Book) -> None:
    draw(a_report(book), tmp_path / "load.png")
    assert size(tmp_path / "load.png") == (1600, 768)


def test_a_page_needs_nothing_else_and_holds_no_markup_of_others() -> None:
    book = a_book(*[10] * 200)
    book.count("f", 1001.0, 5, "odd", "<script>alert(1)</script>")
    page = as_html(a_report(book, "p95=50ms"))
    tags: list[tuple[str, dict[str, str | None]]] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append((tag, dict(attributes)))  # type: ignore[method-assign]
    parser.feed(page)
    names = [tag for tag, _ in tags]
    assert names.count("table") == 3
    assert "script" not in names
    assert "link" not in names
    (image,) = [attributes for tag, attributes in tags if tag == "img"]
    assert str(image["src"]).startswith("data:image/png;base64,")
    assert "The SLO was kept." in page
