"""A row of a load test as text, for every place that shows one."""

from servelite.core.tariff import MICRO, Tariff
from servelite.tools.loadtest.slo import said_us
from servelite.tools.loadtest.summary import Row

COLUMNS = ("", "requests/s", "p50", "p95", "p99", "errors", "compute s", "a million calls", "mean batch", "queue share")


def cells(row: Row, tariff: Tariff) -> list[str]:
    """Return the cells of a row, by `COLUMNS`."""
    rps = f"{row.rps:,.0f}" if row.rps >= 100 else f"{row.rps:.3g}"
    times = [said_us(us) for us in (row.p50_us, row.p95_us, row.p99_us)]
    cost = "-" if row.million_micro is None else amount(row.million_micro, tariff)
    batch = f"{row.mean_batch:.2f}" if row.mean_batch else "-"
    return [row.name, rps, *times, f"{row.failed:,}", f"{row.compute_us / MICRO:,.3f}", cost, batch, f"{row.queue_share:.0%}"]


def amount(micro: int, tariff: Tariff) -> str:
    """Write an amount to the cent, small ones more exactly."""
    decimals = 2 if micro >= MICRO else 4 if micro >= MICRO // 100 else 6
    return f"{micro / MICRO:,.{decimals}f} {tariff.currency}"
