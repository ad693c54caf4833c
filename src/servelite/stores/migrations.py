"""The ledger's tables, as statements that bring them from one version to the next; what has been released stays as it is.

A new column of `calls` comes last, with a default in `Row` too: journals that an older servelite left are shorter by it.

`days` holds the sums of `calls`. A trigger makes them, in the statement that inserts the rows: sums and rows can't
differ, however rows come in, and the sums stay when rows have become old and go.
"""

from servelite.core.ports import Row

DAY_US = 24 * 3600 * 1_000_000

FIRST_TARIFF_PICO = 100
"""What a microsecond cost before rows said it: there was one tariff, a cent per 100 s."""

KEY_OF_DAYS = ("day", "account", "key_id", "function", "stage", "gateway")

_SUMS = {
    "calls": "count(*)",
    "failed": "count(nullif(code, 'ok'))",
    "compute_us": "sum(compute_us)",
    "cpu_us": "sum(cpu_us)",
    "billed_us": "sum(billed_us)",
    "cost_pico": "sum(cost_pico)",
    "billed_calls": "count(nullif(billed_us, 0))",
    "mib_us": "sum(billed_us * memory_mib)",
    "whole_s": "sum((billed_us + 999999) / 1000000)",
    # AWS: at least 128 MB, whole milliseconds
    "lambda_mib_ms": "sum((compute_us + 999) / 1000 * CASE WHEN memory_mib < 128 THEN 128 ELSE memory_mib END)",
}
"""Columns of `days`, and what they are of some rows."""

SUMS = tuple(_SUMS)

_GROUP = f"at_us / {DAY_US}, account, key_id, function, stage, gateway"


def _add_to_days(rows: str, order: str = "") -> str:
    """Return the statement that adds the sums of some rows to `days`."""
    columns = ", ".join([*KEY_OF_DAYS, *_SUMS])
    added = ", ".join(f"{name} = days.{name} + excluded.{name}" for name in _SUMS)
    return (
        f"INSERT INTO days ({columns}) SELECT {_GROUP}, {', '.join(_SUMS.values())} FROM {rows} WHERE true GROUP BY {_GROUP} {order} "  # noqa: S608  our own names
        f"ON CONFLICT ({', '.join(KEY_OF_DAYS)}) DO UPDATE SET {added}"
    )


_ONE_ROW = f"(SELECT {', '.join(f'NEW.{name} AS {name}' for name in Row._fields)})"

_SQLITE_CALLS = """
    CREATE TABLE calls (
      id TEXT NOT NULL PRIMARY KEY, at_us INTEGER NOT NULL, account TEXT NOT NULL, function TEXT NOT NULL,
      status INTEGER NOT NULL, code TEXT NOT NULL, queue_us INTEGER NOT NULL, init_us INTEGER NOT NULL,
      compute_us INTEGER NOT NULL, cpu_us INTEGER NOT NULL, peak_kib INTEGER NOT NULL, batch INTEGER NOT NULL,
      bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL, cold INTEGER NOT NULL, billed_us INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
"""

_NEW_NUMBERS = ("memory_mib", "cost_pico")

_ACCOUNTS = (
    """
    CREATE TABLE keys (
      id {text} NOT NULL PRIMARY KEY, account {text} NOT NULL, name {text} NOT NULL, hash {bytes} NOT NULL, functions {text} NOT NULL,
      is_admin {int} NOT NULL, created_us {int} NOT NULL, expires_us {int}, revoked_us {int}, last_used_us {int}
    ) {strict}
    """,
    """
    CREATE TABLE answers (
      account {text} NOT NULL, repeat_key {text} NOT NULL, fingerprint {text} NOT NULL, call {text} NOT NULL, at_us {int} NOT NULL,
      media_type {text} NOT NULL, body {bytes} NOT NULL, problem {text} NOT NULL, receipt {text} NOT NULL, gateway {text} NOT NULL,
      PRIMARY KEY (account, repeat_key)
    ) {strict}
    """,
    "CREATE INDEX answers_by_age ON answers (at_us)",
    "CREATE INDEX answers_by_gateway ON answers (gateway, at_us)",
)
"""What both databases have alike, but for the names of types."""

_DAYS = (
    f"CREATE TABLE days (day {{int}} NOT NULL, {', '.join(f'{name} {{text}} NOT NULL' for name in KEY_OF_DAYS[1:])}, "
    f"{', '.join(f'{name} {{int}} NOT NULL' for name in _SUMS)}, PRIMARY KEY ({', '.join(KEY_OF_DAYS)})) {{strict}}"
)

_SQLITE_TYPES = {"text": "TEXT", "int": "INTEGER", "bytes": "BLOB", "strict": "STRICT, WITHOUT ROWID"}

SQLITE: tuple[tuple[str, ...], ...] = (
    (_SQLITE_CALLS, "CREATE TABLE journals (name TEXT PRIMARY KEY, moved_bytes INTEGER NOT NULL) STRICT"),
    (
        *(f"ALTER TABLE calls ADD COLUMN {name} TEXT NOT NULL DEFAULT ''" for name in ("key_id", "version", "parent", "stage")),
        *(f"ALTER TABLE calls ADD COLUMN {name} INTEGER NOT NULL DEFAULT 0" for name in _NEW_NUMBERS),
        "ALTER TABLE calls ADD COLUMN gateway TEXT NOT NULL DEFAULT ''",
        f"UPDATE calls SET cost_pico = billed_us * {FIRST_TARIFF_PICO}",  # noqa: S608  our own number
        _DAYS.format(**_SQLITE_TYPES),
        _add_to_days("calls"),
        f"CREATE TRIGGER calls_to_days AFTER INSERT ON calls BEGIN {_add_to_days(_ONE_ROW)}; END",
        *(statement.format(**_SQLITE_TYPES) for statement in _ACCOUNTS),
    ),
)
"""Statements that bring the tables from one `user_version` to the next."""

_POSTGRES_TYPES = {"text": 'text COLLATE "C"', "int": "bigint", "bytes": "bytea", "strict": ""}
"""Texts are compared by their bytes, as in SQLite, and not by the customs of a country."""

_POSTGRES_CALLS = ", ".join(f"{name} {{{'text' if kind is str else 'int'}}} NOT NULL" for name, kind in Row.__annotations__.items())

_IN_ORDER = f"ORDER BY {_GROUP}"  # two who add to the same sums wait for each other, and never both

_ADD = f"BEGIN {_add_to_days('added', _IN_ORDER)}; RETURN NULL; END"

_AFTER_INSERT = "AFTER INSERT ON calls REFERENCING NEW TABLE AS added FOR EACH STATEMENT"

POSTGRES: tuple[tuple[str, ...], ...] = (
    (
        f"CREATE TABLE calls ({_POSTGRES_CALLS.format(**_POSTGRES_TYPES)}, PRIMARY KEY (id))",
        "CREATE TABLE journals (name text PRIMARY KEY, moved_bytes bigint NOT NULL)",
        _DAYS.format(**_POSTGRES_TYPES),
        f"CREATE FUNCTION calls_to_days() RETURNS trigger LANGUAGE plpgsql AS $$ {_ADD} $$",
        f"CREATE TRIGGER calls_to_days {_AFTER_INSERT} EXECUTE FUNCTION calls_to_days()",
        *(statement.format(**_POSTGRES_TYPES) for statement in _ACCOUNTS),
    ),
)
"""The same for PostgreSQL, where the version stands in the table `servelite`."""
