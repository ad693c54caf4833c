"""The ledger's tables, as statements that bring them from one version to the next; what has been released stays as it is.

So each version is written out, and takes nothing from the program as it is now: a test holds it to its digest. A new version is a
new group of statements at the end. A new column of `calls` comes last, with a default in `Row` too: journals that an older
servelite left are shorter by it.

`days` holds the sums of `calls`. A trigger makes them, in the statement that inserts the rows: sums and rows can't
differ, however rows come in, and the sums stay when rows have become old and go. A day's number is its µs since 1970 by 86,400,000,000.
"""

SQLITE: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE calls (
          id TEXT NOT NULL PRIMARY KEY, at_us INTEGER NOT NULL, account TEXT NOT NULL, function TEXT NOT NULL,
          status INTEGER NOT NULL, code TEXT NOT NULL, queue_us INTEGER NOT NULL, init_us INTEGER NOT NULL,
          compute_us INTEGER NOT NULL, cpu_us INTEGER NOT NULL, peak_kib INTEGER NOT NULL, batch INTEGER NOT NULL,
          bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL, cold INTEGER NOT NULL, billed_us INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE TABLE journals (name TEXT PRIMARY KEY, moved_bytes INTEGER NOT NULL) STRICT",
    ),
    (
        "ALTER TABLE calls ADD COLUMN key_id TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE calls ADD COLUMN version TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE calls ADD COLUMN parent TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE calls ADD COLUMN stage TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE calls ADD COLUMN memory_mib INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE calls ADD COLUMN cost_pico INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE calls ADD COLUMN gateway TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE calls ADD COLUMN mib_us INTEGER NOT NULL DEFAULT 0",
        # there was one tariff before, a cent per 100 s
        "UPDATE calls SET cost_pico = billed_us * 100",
        """
        CREATE TABLE days (
          day INTEGER NOT NULL, account TEXT NOT NULL, key_id TEXT NOT NULL, function TEXT NOT NULL, stage TEXT NOT NULL,
          gateway TEXT NOT NULL, calls INTEGER NOT NULL, failed INTEGER NOT NULL, compute_us INTEGER NOT NULL,
          cpu_us INTEGER NOT NULL, billed_us INTEGER NOT NULL, cost_pico INTEGER NOT NULL, billed_calls INTEGER NOT NULL,
          mib_us INTEGER NOT NULL, whole_s INTEGER NOT NULL, lambda_mib_ms INTEGER NOT NULL,
          PRIMARY KEY (day, account, key_id, function, stage, gateway)
        ) STRICT, WITHOUT ROWID
        """,
        # calls of that time have neither key nor stage, gateway nor memory; AWS counts at least 128 MB, and whole milliseconds
        """
        INSERT INTO days
        SELECT at_us / 86400000000, account, '', function, '', '', count(*), sum(code <> 'ok'), sum(compute_us), sum(cpu_us),
          sum(billed_us), sum(cost_pico), sum(billed_us > 0), 0,
          sum(CASE WHEN billed_us = 0 THEN 0 ELSE (compute_us + 999999) / 1000000 END),
          sum((compute_us + 999) / 1000 * 128)
        FROM calls GROUP BY at_us / 86400000000, account, function
        """,
        """
        CREATE TRIGGER calls_to_days AFTER INSERT ON calls BEGIN
          INSERT INTO days VALUES (
            NEW.at_us / 86400000000, NEW.account, NEW.key_id, NEW.function, NEW.stage, NEW.gateway, 1, NEW.code <> 'ok',
            NEW.compute_us, NEW.cpu_us, NEW.billed_us, NEW.cost_pico, NEW.billed_us > 0, NEW.mib_us,
            CASE WHEN NEW.billed_us = 0 THEN 0 ELSE (NEW.compute_us + 999999) / 1000000 END,
            (NEW.compute_us + 999) / 1000 * max(NEW.memory_mib, 128)
          )
          ON CONFLICT (day, account, key_id, function, stage, gateway) DO UPDATE SET
            calls = calls + excluded.calls, failed = failed + excluded.failed, compute_us = compute_us + excluded.compute_us,
            cpu_us = cpu_us + excluded.cpu_us, billed_us = billed_us + excluded.billed_us,
            cost_pico = cost_pico + excluded.cost_pico, billed_calls = billed_calls + excluded.billed_calls,
            mib_us = mib_us + excluded.mib_us, whole_s = whole_s + excluded.whole_s,
            lambda_mib_ms = lambda_mib_ms + excluded.lambda_mib_ms;
        END
        """,
        """
        CREATE TABLE keys (
          id TEXT NOT NULL PRIMARY KEY, account TEXT NOT NULL, name TEXT NOT NULL, hash BLOB NOT NULL, functions TEXT NOT NULL,
          is_admin INTEGER NOT NULL, created_us INTEGER NOT NULL, expires_us INTEGER, revoked_us INTEGER, last_used_us INTEGER
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE answers (
          account TEXT NOT NULL, repeat_key TEXT NOT NULL, fingerprint TEXT NOT NULL, call TEXT NOT NULL, at_us INTEGER NOT NULL,
          media_type TEXT NOT NULL, body BLOB NOT NULL, problem TEXT NOT NULL, receipt TEXT NOT NULL, gateway TEXT NOT NULL,
          PRIMARY KEY (account, repeat_key)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX answers_by_age ON answers (at_us)",
        "CREATE INDEX answers_by_gateway ON answers (gateway, at_us)",
        """
        CREATE TABLE claims (
          account TEXT NOT NULL, repeat_key TEXT NOT NULL, fingerprint TEXT NOT NULL, gateway TEXT NOT NULL, until_us INTEGER NOT NULL,
          PRIMARY KEY (account, repeat_key)
        ) STRICT, WITHOUT ROWID
        """,
    ),
    ("CREATE INDEX calls_by_parent ON calls (parent) WHERE parent <> ''",),
)
"""Statements that bring the tables from one `user_version` to the next."""

POSTGRES: tuple[tuple[str, ...], ...] = (
    (
        # texts are compared by their bytes, as in SQLite, and not by the customs of a country
        """
        CREATE TABLE calls (
          id text COLLATE "C" NOT NULL PRIMARY KEY, at_us bigint NOT NULL, account text COLLATE "C" NOT NULL,
          function text COLLATE "C" NOT NULL, status bigint NOT NULL, code text COLLATE "C" NOT NULL, queue_us bigint NOT NULL,
          init_us bigint NOT NULL, compute_us bigint NOT NULL, cpu_us bigint NOT NULL, peak_kib bigint NOT NULL,
          batch bigint NOT NULL, bytes_in bigint NOT NULL, bytes_out bigint NOT NULL, cold bigint NOT NULL,
          billed_us bigint NOT NULL, key_id text COLLATE "C" NOT NULL, version text COLLATE "C" NOT NULL,
          parent text COLLATE "C" NOT NULL, stage text COLLATE "C" NOT NULL, memory_mib bigint NOT NULL,
          cost_pico bigint NOT NULL, gateway text COLLATE "C" NOT NULL, mib_us bigint NOT NULL
        )
        """,
        "CREATE TABLE journals (name text PRIMARY KEY, moved_bytes bigint NOT NULL)",
        """
        CREATE TABLE days (
          day bigint NOT NULL, account text COLLATE "C" NOT NULL, key_id text COLLATE "C" NOT NULL,
          function text COLLATE "C" NOT NULL, stage text COLLATE "C" NOT NULL, gateway text COLLATE "C" NOT NULL,
          calls bigint NOT NULL, failed bigint NOT NULL, compute_us bigint NOT NULL, cpu_us bigint NOT NULL,
          billed_us bigint NOT NULL, cost_pico bigint NOT NULL, billed_calls bigint NOT NULL, mib_us bigint NOT NULL,
          whole_s bigint NOT NULL, lambda_mib_ms bigint NOT NULL,
          PRIMARY KEY (day, account, key_id, function, stage, gateway)
        )
        """,
        # in order: two who add to the same sums wait for each other, and never both
        """
        CREATE FUNCTION calls_to_days() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          INSERT INTO days
          SELECT at_us / 86400000000, account, key_id, function, stage, gateway, count(*), count(nullif(code, 'ok')),
            sum(compute_us), sum(cpu_us), sum(billed_us), sum(cost_pico), count(nullif(billed_us, 0)), sum(mib_us),
            sum(CASE WHEN billed_us = 0 THEN 0 ELSE (compute_us + 999999) / 1000000 END),
            sum((compute_us + 999) / 1000 * greatest(memory_mib, 128))
          FROM added
          GROUP BY at_us / 86400000000, account, key_id, function, stage, gateway
          ORDER BY at_us / 86400000000, account, key_id, function, stage, gateway
          ON CONFLICT (day, account, key_id, function, stage, gateway) DO UPDATE SET
            calls = days.calls + excluded.calls, failed = days.failed + excluded.failed,
            compute_us = days.compute_us + excluded.compute_us, cpu_us = days.cpu_us + excluded.cpu_us,
            billed_us = days.billed_us + excluded.billed_us, cost_pico = days.cost_pico + excluded.cost_pico,
            billed_calls = days.billed_calls + excluded.billed_calls, mib_us = days.mib_us + excluded.mib_us,
            whole_s = days.whole_s + excluded.whole_s, lambda_mib_ms = days.lambda_mib_ms + excluded.lambda_mib_ms;
          RETURN NULL;
        END $$
        """,
        """
        CREATE TRIGGER calls_to_days AFTER INSERT ON calls REFERENCING NEW TABLE AS added
        FOR EACH STATEMENT EXECUTE FUNCTION calls_to_days()
        """,
        """
        CREATE TABLE keys (
          id text COLLATE "C" NOT NULL PRIMARY KEY, account text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL,
          hash bytea NOT NULL, functions text COLLATE "C" NOT NULL, is_admin bigint NOT NULL, created_us bigint NOT NULL,
          expires_us bigint, revoked_us bigint, last_used_us bigint
        )
        """,
        """
        CREATE TABLE answers (
          account text COLLATE "C" NOT NULL, repeat_key text COLLATE "C" NOT NULL, fingerprint text COLLATE "C" NOT NULL,
          call text COLLATE "C" NOT NULL, at_us bigint NOT NULL, media_type text COLLATE "C" NOT NULL, body bytea NOT NULL,
          problem text COLLATE "C" NOT NULL, receipt text COLLATE "C" NOT NULL, gateway text COLLATE "C" NOT NULL,
          PRIMARY KEY (account, repeat_key)
        )
        """,
        "CREATE INDEX answers_by_age ON answers (at_us)",
        "CREATE INDEX answers_by_gateway ON answers (gateway, at_us)",
        """
        CREATE TABLE claims (
          account text COLLATE "C" NOT NULL, repeat_key text COLLATE "C" NOT NULL, fingerprint text COLLATE "C" NOT NULL,
          gateway text COLLATE "C" NOT NULL, until_us bigint NOT NULL, PRIMARY KEY (account, repeat_key)
        )
        """,
    ),
    ("CREATE INDEX calls_by_parent ON calls (parent) WHERE parent <> ''",),
)
"""The same for PostgreSQL, where the version stands in the table `servelite`."""
