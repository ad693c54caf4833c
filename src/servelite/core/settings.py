"""What `servelite.toml` says: the tariff, what accounts may use, how long rows are kept; read strictly, each error with its cure."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from servelite.core.accounts import ACCOUNT_NAME, ACCOUNT_RULE, Allowance
from servelite.core.errors import DefinitionError
from servelite.core.tariff import PRESETS, Tariff

KEEP_DAYS = 35
"""Days that the rows of single calls are kept by default: a month, and some to look into its bill."""

MOST = 10**15
"""Largest number of a setting: a billion in millionths."""

TEXT = {"currency": "a code like USD", "preset": f"one of {', '.join(PRESETS)}"}

_MEASURES = {
    "per_s": "a whole number from 1",
    "per_calls": "a whole number from 1",
    "round_up_us": "a whole number from 1",
    "concurrent_calls": "a whole number from 1",
    "keep_days": "a whole number from 1",
    "calls_per_s": "a number from 0.000001",
    "weighs_memory": "true or false",
}
"""Rules of settings; all others are whole numbers from 0."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator has decided.

    allowances  what named accounts may use; `others` is for all others
    keep_days   days that the rows of single calls are kept; their sums stay
    """

    tariff: Tariff = field(default_factory=Tariff)
    allowances: Mapping[str, Allowance] = field(default_factory=dict)
    others: Allowance = field(default_factory=Allowance)
    keep_days: int = KEEP_DAYS


def read_settings(said: Mapping[str, Any], place: str) -> Settings:
    """Read the tables of a settings file; `place` names it in errors.

    Raises:
        DefinitionError: a table or a field is unknown, or has an impossible value.
    """
    _require_known(said, ["tariff", "accounts", "ledger"], f"{place}: ", "table")
    for name in _table(said, "accounts", place):
        if name != "*" and not ACCOUNT_NAME.fullmatch(name):
            raise DefinitionError(f"{place}: [accounts.{name!r}]: no account is named so. {ACCOUNT_RULE} '*' is for all others.")
    accounts = {name: _allowance(table, f"{place}: [accounts.{name}] ") for name, table in _table(said, "accounts", place).items()}
    ledger = _checked(_table(said, "ledger", place), ["keep_days"], f"{place}: [ledger] ")
    others = accounts.pop("*", Allowance())
    return Settings(_tariff(_table(said, "tariff", place), f"{place}: [tariff] "), accounts, others, ledger.get("keep_days", KEEP_DAYS))


def _tariff(said: Mapping[str, Any], place: str) -> Tariff:
    known = _checked(said, ["preset", *(one.name for one in fields(Tariff))], place)
    preset = known.pop("preset", "algorithmia")
    if preset not in PRESETS:
        raise DefinitionError(f"{place}preset = {preset!r} is unknown. Presets: {', '.join(PRESETS)}.")
    return replace(PRESETS[preset], **known)


def _allowance(said: Any, place: str) -> Allowance:
    if not isinstance(said, dict):
        raise DefinitionError(f"{place}is no table. Write for example: credit_micro = 5_000_000")
    return Allowance(**_checked(said, [one.name for one in fields(Allowance)], place))


def _table(said: Mapping[str, Any], name: str, place: str) -> Mapping[str, Any]:
    table = said.get(name, {})
    if not isinstance(table, dict):
        raise DefinitionError(f"{place}: {name} is a table. Write [{name}] and its fields below.")
    return table


def _checked(said: Mapping[str, Any], known: list[str], place: str) -> dict[str, Any]:
    _require_known(said, known, place, "field")
    for name, value in said.items():
        rule = TEXT.get(name) or _MEASURES.get(name, "a whole number from 0")
        if not _obeys(value, name):
            raise DefinitionError(f"{place}{name} = {value!r}: {name} is {rule}.")
    return dict(said)


def _obeys(value: Any, name: str) -> bool:
    if name in TEXT:
        return isinstance(value, str) and 0 < len(value) <= 20
    rule = _MEASURES.get(name, "a whole number from 0")
    if rule == "true or false" or isinstance(value, bool):
        return rule == "true or false" and isinstance(value, bool)
    if rule == "a number from 0.000001":
        return isinstance(value, (int, float)) and 1e-6 <= value <= MOST
    return isinstance(value, int) and (1 if rule.endswith("1") else 0) <= value <= MOST


def _require_known(said: Mapping[str, Any], known: list[str], place: str, kind: str) -> None:
    for name in said:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise DefinitionError(f"{place}there is no {kind} '{name}'.{hint} There are: {', '.join(known)}.")
