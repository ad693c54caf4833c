"""Options and kinds of values that several commands share."""

import re
from pathlib import Path
from typing import Any

import click

from servelite.assembly.environment import DEFAULT_LEDGER
from servelite.core.bill import read_month
from servelite.core.month import CalendarMonth
from servelite.core.tariff import MICRO

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}

MOST_MEMORY_BYTES = 2**50
"""Beyond any machine."""

MOST_BODY_BYTES = 200 * 2**20
"""A body must fit in one frame (256 MiB) with its head."""


class Size(click.ParamType[int, Any]):
    """A number of bytes as people write it: 6MiB, 500KB, 2GiB, 1000; at most `most`."""

    name = "size"

    def __init__(self, most: int) -> None:
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number of bytes."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([0-9]{1,15})\s*([a-z]*)", value.strip().lower())
        if not match or match[2].upper() not in UNITS:
            self.fail(f"'{value}' is not a size. Write for example 6MiB, 500KB or 1000.", param, ctx)
        size = int(match[1]) * UNITS[match[2].upper()]
        if not 1 <= size <= self._most:
            self.fail(f"{value} is out of range: 1 byte to {self._most // UNITS['MIB']:,}MiB.", param, ctx)
        return size


class HostName(click.ParamType[str, Any]):
    """The name of a host, as the Host header has it."""

    name = "host name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name without its port, which does not matter."""
        from servelite.adapters.guard import host_name
        from servelite.core.errors import BadRequest

        try:
            return host_name(value.encode())
        except BadRequest:
            self.fail(f"'{value}' is not the name of a host. Write for example models.example.org.", param, ctx)


class Origin(click.ParamType[str, Any]):
    """Where web pages come from, as browsers write it in the Origin header."""

    name = "origin"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the origin."""
        origin: str = value.lower()
        if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[!-.0-~]+", origin):
            self.fail(f"'{value}' is not an origin. Write scheme and host only, for example https://models.example.org.", param, ctx)
        return origin


class Month(click.ParamType[CalendarMonth, Any]):
    """A calendar month (UTC) as 2026-11."""

    name = "month"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> CalendarMonth:
        """Return the month."""
        if isinstance(value, CalendarMonth):
            return value
        try:
            return read_month(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Amount(click.ParamType[int, Any]):
    """An amount of money as people write it, 0.05 or 12; in millionths."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the amount in millionths of the currency's unit."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([0-9]{1,9})(?:\.([0-9]{1,6}))?", value.strip())
        if not match:
            self.fail(f"'{value}' is not an amount. Write for example 0.05, with six decimals at most.", param, ctx)
        return int(match[1]) * MICRO + int((match[2] or "").ljust(6, "0"))


class Number(click.ParamType[float, Any]):
    """A number from `least` to `most`; neither NaN nor infinity."""

    name = "number"

    def __init__(self, least: float, most: float) -> None:
        self._least, self._most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        try:
            number = float(value)
        except ValueError:
            self.fail(f"'{value}' is not a number. Write for example {max(self._least, 1):g}.", param, ctx)
        if not self._least <= number <= self._most:
            self.fail(f"{value} is out of range: {self._least:g} to {self._most:,.10g}.", param, ctx)
        return number


def check_png(file: Path) -> None:
    """Refuse a file for a picture that is named as another kind of file."""
    if file.suffix.lower() not in ("", ".png"):
        raise click.UsageError(f"--png draws a PNG; {file} is named as another kind of file. Write for example --png {file.stem}.png.")


def ledger_option(command: Any) -> Any:
    """Add the --ledger option."""
    help_ = "File of the ledger, sqlite:///PATH, postgresql://USER@HOST/DATABASE, dynamodb://TABLE, or none."
    return click.option("--ledger", default=DEFAULT_LEDGER, show_default=True, metavar="URL", help=help_)(command)


def config_option(command: Any) -> Any:
    """Add the --config option."""
    help_ = "Settings: tariff, accounts, ledger.  [default: servelite.toml, if there is one]"
    return click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help=help_)(command)
