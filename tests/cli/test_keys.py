"""`servelite keys`: made, listed and revoked; the key on stdout once, and nowhere else ever."""

import hashlib
import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from servelite.assembly.ledgers import read_keys
from servelite.core.accounts import ApiKey
from tests.cli.command import servelite_here as servelite
from tests.keys import make_key

DAY_US = 24 * 3600 * 1_000_000


def keys_in(folder: Path) -> list[ApiKey]:
    return read_keys(str(folder / ".servelite" / "ledger.db"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, "subprocess.CompletedProcess[str]", int]:
    """Return a folder with one key, what its making said, and when that was."""
    folder, now_us = tmp_path_factory.mktemp("keys"), time.time_ns() // 1000
    options = "--account", "acme", "--name", "ci", "--functions", "sentiment,ocr*", "--expires", "90d"
    return folder, servelite("keys", "create", *options, cwd=folder), now_us


Made = tuple[Path, "subprocess.CompletedProcess[str]", int]


def test_a_key_is_alone_on_stdout(made: Made) -> None:
    _, done, _ = made
    assert done.returncode == 0
    assert re.fullmatch(r"sl_[0-9a-f]{16}_[A-Za-z0-9_-]{43}\n", done.stdout)


def test_what_was_made_is_told_on_stderr_without_the_secret(made: Made) -> None:
    _, done, _ = made
    key_id, secret = done.stdout.strip().split("_", 2)[1:]
    assert re.search(rf"Key {key_id} of acme may call sentiment, ocr\*; it expires on \d{{4}}-\d\d-\d\d \d\d:\d\d \(UTC\)\.", done.stderr)
    assert "SERVELITE_KEY" in done.stderr
    assert secret not in done.stderr


def test_a_key_is_kept_with_all_that_was_said_of_it(made: Made) -> None:
    folder, _, now_us = made
    (key,) = keys_in(folder)
    assert (key.account, key.name, key.functions, key.is_admin) == ("acme", "ci", ("sentiment", "ocr*"), False)
    assert now_us <= key.created_us <= now_us + 60_000_000
    assert key.expires_us is not None
    assert 0 <= key.expires_us - now_us - 90 * DAY_US < 60_000_000
    assert (key.revoked_us, key.last_used_us) == (None, None)


def test_only_the_hash_of_a_key_is_kept(made: Made) -> None:
    folder, done, _ = made
    shown = done.stdout.strip().encode()
    (key,) = keys_in(folder)
    assert key.hash == hashlib.sha256(shown).digest()
    files = [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
    assert files
    assert not any(shown[20:] in content for content in files)


def test_no_two_keys_are_alike(tmp_path: Path) -> None:
    keys = {make_key(tmp_path) for _ in range(50)}
    assert len(keys) == len({key.split("_")[1] for key in keys}) == len({key[20:] for key in keys}) == 50


def test_without_options_a_key_is_for_everything_and_for_ever_and_that_is_told(tmp_path: Path) -> None:
    done = servelite("keys", "create", "--account", "acme", "--admin", "--ledger", "book.db", cwd=tmp_path)
    assert "may call * and is an admin key; it never expires." in done.stderr
    (key,) = read_keys(str(tmp_path / "book.db"))
    assert (key.name, key.functions, key.expires_us, key.is_admin) == ("", ("*",), None, True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "Missing option '--account'"),
        (["--account", "local"], "is the account of calls that are made without a key"),
        (["--account", "*"], "stands for all others"),
        (["--account", "a b"], "can't name an account"),
        (["--account", "acme", "--name", "a\nb"], "can't name a key"),
        (["--account", "acme", "--functions", ""], "names no function"),
        (["--account", "acme", "--functions", "a/b"], "names no function"),
        (["--account", "acme", "--expires", "soon"], "Write days or hours (90d, 12h), a date (2027-01-31), or never."),
        (["--account", "acme", "--expires", "1999-12-31"], "would be worth nothing"),
        (["--account", "acme", "--ledger", "none"], "Keys stand in the ledger, and --ledger none keeps nothing."),
        (["--account", "acme", "--ledger", "s3://bucket"], "No ledger of the kind 's3'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_can_not_be_made_is_told_and_nothing_is_made(tmp_path: Path, options: list[str], said: str) -> None:
    done = servelite("keys", "create", *options, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


# lists


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Return a folder with a valid, an expired and a revoked key of two accounts."""
    make_key(tmp_path, "acme", ("sentiment", "ocr*"), time.time_ns() // 1000 + DAY_US)
    make_key(tmp_path, "acme", expires_us=1_000_000)
    revoked = make_key(tmp_path, "ops", is_admin=True)
    assert servelite("keys", "revoke", revoked.split("_")[1], cwd=tmp_path).returncode == 0
    return tmp_path


def test_a_list_has_every_key_and_its_state(three: Path) -> None:
    done = servelite("keys", "list", cwd=three)
    head, *rows = (re.split(r"  +", line.strip()) for line in done.stdout.splitlines())
    assert head == ["id", "account", "name", "functions", "admin", "created", "expires", "last used", "state"]
    assert [(row[0], row[1], row[3], row[4], row[7], row[8]) for row in rows] == [
        (key.id, key.account, ",".join(key.functions), "yes" if key.is_admin else "-", "never", state)
        for key, state in zip(keys_in(three), ["valid", "expired", "revoked"], strict=True)
    ]
    assert [row[6] for row in rows][1:] == ["1970-01-01 00:00", "never"]


def test_a_list_for_programs_has_what_is_known_but_the_hash(three: Path) -> None:
    said: list[dict[str, Any]] = json.loads(servelite("keys", "list", "--json", cwd=three).stdout)
    kept = keys_in(three)
    assert [one.pop("state") for one in said] == ["valid", "expired", "revoked"]
    for one, key in zip(said, kept, strict=True):
        assert one == {name: getattr(key, name) for name in one} | {"functions": list(key.functions)}
        assert one.keys() == {field for field in ApiKey.__dataclass_fields__ if field != "hash"}


@pytest.mark.parametrize(("account", "count"), [("acme", 2), ("ops", 1), ("nobody", 0)])
def test_a_list_may_be_of_one_account(three: Path, account: str, count: int) -> None:
    said = json.loads(servelite("keys", "list", "--account", account, "--json", cwd=three).stdout)
    assert [one["account"] for one in said] == [account] * count


def test_without_keys_a_list_says_how_to_make_one_and_makes_no_ledger(tmp_path: Path) -> None:
    done = servelite("keys", "list", cwd=tmp_path)
    assert done.returncode == 0
    assert "servelite keys create --account NAME" in done.stdout
    assert json.loads(servelite("keys", "list", "--json", cwd=tmp_path).stdout) == []
    assert list(tmp_path.iterdir()) == []


# revoking


def test_a_key_is_revoked_by_its_id_or_by_all_of_it_and_the_secret_is_not_repeated(tmp_path: Path) -> None:
    by_id, whole = make_key(tmp_path), make_key(tmp_path)
    for given in (by_id.split("_")[1], whole):
        done = servelite("keys", "revoke", given, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, "")
        assert re.fullmatch(r"Key [0-9a-f]{16} of acme is revoked\.\n", done.stderr)
    assert all(key.revoked_us for key in keys_in(tmp_path))


def test_a_key_that_was_revoked_stays_so_since_then(three: Path) -> None:
    key = keys_in(three)[2]
    done = servelite("keys", "revoke", key.id, cwd=three)
    assert done.returncode == 0
    assert f"Key {key.id} of ops was revoked before, on " in done.stderr
    assert keys_in(three)[2] == key


@pytest.mark.parametrize("key_id", ["nobody", "", "sl_nobody_secret", "' OR 1 = 1 --"])
def test_an_unknown_id_is_told_with_where_to_look(three: Path, key_id: str) -> None:
    done = servelite("keys", "revoke", key_id, cwd=three)
    assert (done.returncode, done.stdout) == (2, "")
    assert "See which there are: servelite keys list" in done.stderr
    assert "secret" not in done.stderr
    assert [key.revoked_us is not None for key in keys_in(three)] == [False, False, True]


@pytest.mark.parametrize("command", [["list"], ["revoke", "x"]], ids=" ".join)
def test_where_nothing_is_kept_there_are_no_keys(tmp_path: Path, command: list[str]) -> None:
    done = servelite("keys", *command, "--ledger", "none", cwd=tmp_path)
    assert done.returncode == 2
    assert "Keys stand in the ledger" in done.stderr


@pytest.mark.parametrize("command", [["create", "--account", "acme"], ["list"], ["revoke", "x"]], ids=" ".join)
def test_a_file_that_is_no_ledger_is_told(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "book.db").write_text("dear diary " * 100)
    done = servelite("keys", *command, "--ledger", "book.db", cwd=tmp_path)
    assert done.returncode == 1
    assert "The ledger book.db can't be used" in done.stderr
