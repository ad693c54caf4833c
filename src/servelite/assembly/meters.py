"""Meters by their ledger's URL: the ledger opened as an engine needs it, with what it says of accounts and their quotas."""

import secrets
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from servelite.assembly.environment import tracing
from servelite.core.errors import DefinitionError
from servelite.core.ports import Spans
from servelite.core.settings import Settings
from servelite.runtime.accounts import Accounts
from servelite.runtime.fresh_accounts import FreshAccounts
from servelite.runtime.metering import Meter
from servelite.runtime.quotas import Quotas
from servelite.stores.direct import DirectLedger, NoLedger

if TYPE_CHECKING:
    from servelite.stores.address import Address


def open_meter(url: str, settings: Settings, now_us: Callable[[], int], *, with_keeper: bool) -> Meter:
    """Open a ledger for an engine that goes on by itself, and what it knows of accounts; rows go through a journal on this machine.

    Raises:
        DefinitionError: the ledger's name is unknown.
        LedgerUnavailable: the ledger can't be opened.
    """
    from servelite.stores.keeper import start_keeper
    from servelite.stores.ledger import JournaledLedger

    gateway = secrets.token_hex(8)
    place = _place(url, settings)
    # rows of a process that makes one call name no gateway: each would have a day's sums of its own, for ever
    named = gateway if with_keeper else ""
    keeper = partial(start_keeper, url, settings.keep_days) if with_keeper else None
    ledger = JournaledLedger(place, keeper, named) if place else NoLedger()
    accounts = Accounts(gateway, _quotas(settings, now_us), now_us, partial(place.book, gateway) if place else None)
    meter = Meter(ledger, accounts, named, now_us)
    meter.spans = _spans() if with_keeper else None
    return meter


def _spans() -> Spans | None:
    """Return what makes spans of calls, if OpenTelemetry's variables ask for them."""
    said = tracing()
    if said is None:
        return None
    try:
        from servelite.stores.spans import open_spans
    except ImportError as error:
        cure = "Install it with: pip install 'servelite[otel]'. Or unset OTEL_…"
        raise DefinitionError(f"OTEL_… variables ask for traces, and opentelemetry-sdk is missing. {cure}") from error
    return open_spans(said.exporter, said.service)


def open_direct_meter(url: str, settings: Settings, now_us: Callable[[], int]) -> Meter:
    """Open a ledger for a process that is frozen between calls, as on AWS Lambda: a call waits for what it reads and writes there.

    Raises:
        DefinitionError: the ledger's name is unknown.
        LedgerUnavailable: the ledger can't be opened.
    """
    place = _place(url, settings, for_one_thread=True)
    ledger = DirectLedger(place) if place else NoLedger()
    # a name for each time that the book is opened: copies of a process must not take each other's Idempotency-Keys for their own
    open_book = (lambda: place.book(secrets.token_hex(8))) if place else None
    return Meter(ledger, FreshAccounts(secrets.token_hex(8), _quotas(settings, now_us), now_us, open_book), "", now_us)


def _place(url: str, settings: Settings, *, for_one_thread: bool = False) -> "Address | None":
    if url == "none":
        return None
    from servelite.stores.address import address  # with what databases need, which few processes on Lambda do

    return address(url, settings.keep_days, for_one_thread=for_one_thread)


def _quotas(settings: Settings, now_us: Callable[[], int]) -> Quotas:
    return Quotas(settings.tariff, settings.allowances, settings.others, now_us)
