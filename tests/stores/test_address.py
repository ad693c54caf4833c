"""What a ledger's URL names, and that a password in it is shown to nobody."""

from pathlib import Path

import pytest

from servelite.core.errors import DefinitionError
from servelite.stores.address import address

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("ledger.db", "ledger.db"),
        ("deep/er/ledger.db", "deep/er/ledger.db"),
        ("/var/ledger.db", "/var/ledger.db"),
        ("sqlite:///ledger.db", "ledger.db"),
        ("sqlite:////var/ledger.db", "/var/ledger.db"),
    ],
)
def test_a_path_names_a_file_and_the_journals_beside_it(url, file):
    place = address(url)
    assert (place.file, place.name, place.journals) == (Path(file), file, Path(f"{file}.journal"))


@pytest.mark.parametrize(
    ("url", "name"),
    [
        pytest.param("postgresql://ada@db.example/ledger", "postgresql://ada@db.example/ledger", id="as it is"),
        pytest.param("postgres://ada@db.example/ledger", "postgresql://ada@db.example/ledger", id="the short scheme"),
        pytest.param(f"postgresql://ada:{SECRET}@db.example:5433/ledger", "postgresql://ada@db.example:5433/ledger", id="a password"),
        pytest.param(
            f"postgresql://db.example/ledger?user=ada&password={SECRET}", "postgresql://ada@db.example/ledger", id="as parameters"
        ),
        pytest.param(f"postgresql://db.example/l?sslkey=k&sslpassword={SECRET}", "postgresql://db.example/l", id="another password"),
        pytest.param(
            "postgresql://db.example/l?options=-csearch_path%3Da", "postgresql://db.example/l?options=-csearch_path%3Da", id="a schema"
        ),
        pytest.param("postgresql:///l?host=/run/postgresql", "postgresql://%2Frun%2Fpostgresql/l", id="a socket"),
        pytest.param("postgresql://[::1]:5433/l", "postgresql://[::1]:5433/l", id="IPv6"),
        pytest.param("postgresql://one:1,two:2/l", "postgresql://one:1,two:2/l", id="two servers"),
        pytest.param("postgresql://one,two:2/l", "postgresql://one,two:2/l", id="two servers, a port"),
        pytest.param("postgresql://h/a%0Ab", "postgresql://h/a%0Ab", id="a line break"),
        pytest.param("postgresql://", "postgresql:///", id="all by libpq's defaults"),
    ],
)
def test_a_server_is_shown_without_what_is_secret(url, name):
    place = address(url)
    assert (place.name, place.file, place.exists()) == (name, None, True)
    assert SECRET not in f"{place} {place!r} {place.journals}"


@pytest.mark.parametrize(
    "other",
    [
        pytest.param("postgresql://h2/l", id="host"),
        pytest.param("postgresql://h:5433/l", id="port"),
        pytest.param("postgresql://h/m", id="database"),
        pytest.param("postgresql://u@h/l", id="user"),
        pytest.param("postgresql://h/l?options=-csearch_path%3Da", id="schema"),
        pytest.param("postgresql://h/l?service=s", id="service"),
    ],
)
def test_another_ledger_has_other_journals(other):
    assert address("postgresql://h/l").journals != address(other).journals


@pytest.mark.parametrize(
    "same",
    [
        pytest.param("postgres://h/l", id="the short scheme"),
        pytest.param("postgresql://h/l?password=x", id="password"),
        pytest.param("postgresql://h/l?sslmode=require&connect_timeout=9", id="how it is reached"),
    ],
)
def test_the_same_ledger_keeps_its_journals_however_it_is_reached(same):
    assert address("postgresql://h/l").journals == address(same).journals


@pytest.mark.parametrize(
    ("url", "why"),
    [
        pytest.param("", "The ledger has no name", id="empty"),
        pytest.param("mysql://h/l", "No ledger of the kind 'mysql'", id="another kind"),
        pytest.param("sqlite:///", "names no file", id="no file"),
        pytest.param(f"postgresql://u:{SECRET}@h:abc/l", "The port in the ledger's URL is no number", id="a port of letters"),
        pytest.param(f"postgresql://u:{SECRET}@h:0/l", "is no number from 1 to 65535", id="port 0"),
        pytest.param(f"postgresql://u:{SECRET}@h:65536/l", "is no number from 1 to 65535", id="a port too large"),
        pytest.param(f"postgresql://u:{SECRET}@h:-1/l", "is no number from 1 to 65535", id="a negative port"),
        pytest.param("postgresql://h:\u0661/l", "is no number from 1 to 65535", id="a digit of another script"),
        pytest.param(f"postgresql://u:{SECRET}@h/l?nonsense=1", "URL can't be read", id="an unknown parameter"),
        pytest.param(f"postgresql://u:{SECRET}%zz@h/l", "URL can't be read", id="a bad escape"),
        pytest.param(f"postgresql://u:{SECRET}%00@h/l", "URL can't be read", id="an escaped NUL"),
        pytest.param(f"postgresql://u:{SECRET}@[::1/l", "URL can't be read", id="an open bracket"),
        pytest.param(f"postgresql://u:{SECRET}/more@h/l", "port", id="a slash in the password"),
        pytest.param(f"postgresql://u:12/{SECRET}@h/l", "an @ after its host", id="a slash after digits in the password"),
        pytest.param(f"postgresql://u:12?{SECRET}@h/l", "an @ after its host", id="a question mark in the password"),
        pytest.param(f"postgresql://u@h/l?password={SECRET}@x", "an @ after its host", id="an @ in a parameter"),
    ],
)
def test_a_name_that_can_not_be_read_is_refused_with_the_cure(url, why):
    with pytest.raises(DefinitionError, match=why) as refused:
        address(url)
    assert any(cure in refused.value.detail for cure in ("Give a file's path", "Write for example", "Write postgresql://USER@HOST"))
    assert SECRET not in refused.value.detail
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("url", ["postgresql:/ada:secret@h/l", "postgres:h/l", "sqlite:ledger.db"])
def test_a_url_without_its_two_slashes_is_no_file(url):
    with pytest.raises(DefinitionError, match=r"two slashes after '\w+:'\. Give a file's path") as caught:
        address(url)
    assert "secret" not in caught.value.detail
