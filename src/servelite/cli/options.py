"""Options and kinds of values that several commands share."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

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


class Month(click.ParamType[datetime, Any]):
    """A calendar month as 2026-11; the moment it begins, UTC."""

    name = "month"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the month's first moment."""
        if isinstance(value, datetime):
            return value
        match = re.fullmatch(r"([1-9][0-9]{3})-(0[1-9]|1[0-2])", value)
        if not match or match[1] == "9999":
            self.fail(f"'{value}' is not a month. Write for example 2026-11.", param, ctx)
        return datetime(int(match[1]), int(match[2]), 1, tzinfo=UTC)


def ledger_option(default: str) -> Callable[[Any], Any]:
    """Make the --ledger option."""
    help_ = "File of the ledger, sqlite:///PATH, postgresql://USER@HOST/DATABASE, or none."
    return click.option("--ledger", default=default, show_default=True, metavar="URL", help=help_)


def config_option(command: Any) -> Any:
    """Add the --config option."""
    help_ = "Settings: tariff, accounts, ledger.  [default: servelite.toml, if there is one]"
    return click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help=help_)(command)
