import pytest

from servelite.core.call import Answer, Receipt
from servelite.core.errors import InvalidInput
from servelite.core.function import JSON
from servelite.runtime.statistics import Histogram, Statistics


@pytest.mark.parametrize(
    ("value", "counts"),
    [
        pytest.param(0, [1, 0, 0], id="below all"),
        pytest.param(1, [1, 0, 0], id="on the first bound"),
        pytest.param(1.5, [0, 1, 0], id="between"),
        pytest.param(2, [0, 1, 0], id="on the last bound"),
        pytest.param(99, [0, 0, 1], id="above all"),
    ],
)
def test_a_value_is_counted_below_the_bound_that_includes_it(value, counts):
    histogram = Histogram((1, 2))
    histogram.observe(value)
    assert (histogram.counts, histogram.total) == (counts, value)


def test_a_batch_is_counted_with_its_answers():
    statistics = Statistics()
    receipt = Receipt(compute_us=20, queue_us=3_000, cold=True)
    statistics.ran(3, 41, 30)
    statistics.answered([Answer(b"", JSON, receipt), Answer(b"", JSON, Receipt()), Answer(b"", JSON, receipt, InvalidInput("x"))])
    assert statistics.calls == {"ok": 2, "invalid_input": 1}
    assert (statistics.compute_us, statistics.cpu_us, statistics.cold_calls) == (41, 30, 2)
    assert (statistics.batch.total, sum(statistics.batch.counts), sum(statistics.compute_s.counts)) == (3, 1, 1)
    assert sum(statistics.queue_s.counts) == 3
    assert statistics.queue_s.total == pytest.approx(0.006)
