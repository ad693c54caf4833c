"""`servelite keys`: API keys of accounts, made, listed and revoked in the ledger."""

import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

import click

from servelite.assembly.ledgers import create_key, noticed_within_s, read_keys, revoke_key
from servelite.cli.options import ledger_option
from servelite.cli.output import print_table
from servelite.core.accounts import ApiKey
from servelite.core.key_rules import checked_account, checked_key_name, read_expiry, read_scope


@click.group("keys")
def keys_command() -> None:
    """Make, list and revoke the API keys that a server started with --require-key asks for.

    \b
    Example:
      servelite keys create --account acme --name ci --functions 'sentiment,ocr*' --expires 90d
      servelite keys list --account acme
      servelite keys revoke 9f86d081884c7d65
    """


@keys_command.command("create")
@click.option("--account", required=True, help="Who pays for calls with the key.")
@click.option("--name", default="", help="What people call the key, for example where it is used.")
@click.option("--functions", default="*", show_default=True, metavar="NAMES", help="What it may call: names, with * and ?.")
@click.option("--expires", default="never", show_default=True, metavar="WHEN", help="When it ends: 90d, 12h, 2027-01-31, never.")
@click.option("--admin", "is_admin", is_flag=True, help="Let it read the metrics too, and everybody's usage.")
@ledger_option
def create_command(*, account: str, name: str, functions: str, expires: str, is_admin: bool, ledger: str) -> None:
    """Make a key. It is printed on stdout, once: only its hash is kept.

    \b
    Example:
      servelite keys create --account acme --name ci --functions 'sentiment,ocr*' --expires 90d
      KEY=$(servelite keys create --account ops --admin)
    """
    wanted = checked_account(account), checked_key_name(name), read_scope(functions), read_expiry(expires, _now_us())
    key, shown = create_key(ledger, *wanted, is_admin=is_admin)
    click.echo(shown)
    sys.stdout.flush()
    click.echo(
        f"Key {key.id} of {account} may call {', '.join(key.functions)}{' and is an admin key' if is_admin else ''}; {_end(key)}.", err=True
    )
    click.echo(
        "It is shown this once: keep it. Send it as Authorization: Bearer KEY; servelite call --url takes it from SERVELITE_KEY.", err=True
    )
    _wait_for_servers(ledger)


@keys_command.command("list")
@click.option("--account", help="Of this account only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@ledger_option
def list_command(account: str | None, as_json: bool, ledger: str) -> None:
    """List keys, those too that are worth nothing any more; never the keys themselves, which nobody knows.

    \b
    Example:
      servelite keys list
      servelite keys list --account acme --json
    """
    now_us = _now_us()
    keys = [key for key in read_keys(ledger) if account in (None, key.account)]
    if as_json:
        click.echo(json.dumps([_told(key, now_us) for key in keys], indent=2))
    elif keys:
        columns = ["id", "account", "name", "functions", "admin", "created", "expires", "last used", "state"]
        print_table(columns, [_row(key, now_us) for key in keys])
    else:
        click.echo("There are no such keys in this ledger. Make one: servelite keys create --account NAME")


@keys_command.command("revoke")
@click.argument("key_id", metavar="ID")
@ledger_option
def revoke_command(key_id: str, ledger: str) -> None:
    """Make a key worth nothing, at once and for ever. ID is the key's id, or all of the key.

    \b
    Example:
      servelite keys revoke 9f86d081884c7d65
    """
    key_id = key_id.removeprefix("sl_").partition("_")[0]  # a secret that was given goes into no message
    before = revoke_key(ledger, key_id)
    if before.revoked_us is None:
        _wait_for_servers(ledger)
        click.echo(f"Key {key_id} of {before.account} is revoked.", err=True)
    else:
        click.echo(f"Key {key_id} of {before.account} was revoked before, on {_moment(before.revoked_us)} (UTC).", err=True)


def _wait_for_servers(ledger: str) -> None:
    """Wait until servers that run have surely seen the change: once the command is done, what it did holds."""
    time.sleep(noticed_within_s(ledger))


def _end(key: ApiKey) -> str:
    return "it never expires" if key.expires_us is None else f"it expires on {_moment(key.expires_us)} (UTC)"


def _told(key: ApiKey, now_us: int) -> dict[str, Any]:
    return {
        "id": key.id,
        "account": key.account,
        "name": key.name,
        "functions": key.functions,
        "is_admin": key.is_admin,
        "created_us": key.created_us,
        "expires_us": key.expires_us,
        "revoked_us": key.revoked_us,
        "last_used_us": key.last_used_us,
        "state": key.state(now_us),
    }


def _row(key: ApiKey, now_us: int) -> list[str]:
    whose = [key.id, key.account, key.name or "-", ",".join(key.functions), "yes" if key.is_admin else "-"]
    times = [_moment(key.created_us), _moment(key.expires_us, "never"), _moment(key.last_used_us, "never")]
    return [*whose, *times, key.state(now_us)]


def _moment(us: int | None, otherwise: str = "") -> str:
    """Write a time (UTC) to the minute."""
    return otherwise if us is None else f"{datetime.fromtimestamp(us // 1_000_000, UTC):%Y-%m-%d %H:%M}"


def _now_us() -> int:
    return time.time_ns() // 1000
