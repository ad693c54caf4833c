"""What DynamoDB, or its client, refuses is told with the cure; boto3 as it is, before a server that refuses."""

import subprocess
import sys
from contextlib import closing

import pytest

from servelite.core.errors import DefinitionError, LedgerUnavailable
from servelite.stores.address import address
from servelite.stores.dynamodb import CURES, read_url
from tests.ministack import CREDENTIALS
from tests.stores.go_between import go_between, refusal
from tests.stores.rows import EVER, row

NOTHING_ELSE = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "none", "AWS_SHARED_CREDENTIALS_FILE": "none"}

NO_TABLE = r"there is no such table, and the role may not make one\. Deploy it, or allow dynamodb:CreateTable"

NO_SERVER = r"^The ledger dynamodb://ledger\?endpoint=http://127\.0\.0\.1:1 can't be used: Could not connect"

NO_NUMBER = [{"Code": "ValidationError", "Message": "Number overflow"}, {"Code": "None"}]


@pytest.fixture(autouse=True)
def credentials(monkeypatch, tmp_path):
    """Have only these credentials, whatever the machine has."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        **CREDENTIALS,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "none",
        "AWS_SHARED_CREDENTIALS_FILE": "none",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def refusing():
    with go_between(None, kind="", fates=[]) as server:
        yield server


QUESTIONS = {
    "record": lambda place: place.tables().record([row()]),
    "usage": lambda place: place.tables().usage(["day"], *EVER),
    "look": lambda place: place.book("g").look(0),
    "claim": lambda place: place.book("g").claim("a", "b", "f", 1),
    "note": lambda place: place.book("g").note_used({"k": 1}),
    "exists": lambda place: place.exists(),
}


@pytest.mark.parametrize(
    ("code", "cure", "question"),
    [
        *(("AccessDeniedException", "the role may not do this. Allow it", question) for question in QUESTIONS),
        ("UnrecognizedClientException", "Look at AWS_ACCESS_KEY_ID", "record"),
        ("InvalidSignatureException", "or this machine's clock is", "look"),
        ("ExpiredTokenException", "Get new ones", "claim"),
        ("SomethingNewException", "SomethingNewException", "usage"),
    ],
)
def test_what_aws_refuses_is_told_with_the_cure(refusing, question, code, cure):
    refusing.fates = [refusal(code)]
    with pytest.raises(LedgerUnavailable) as caught:
        QUESTIONS[question](address(f"dynamodb://ledger?endpoint={refusing.url}"))
    assert caught.value.detail.startswith(f"The ledger dynamodb://ledger?endpoint={refusing.url} can't be used: ")
    assert cure in caught.value.detail
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in caught.value.detail


SLOWLY = pytest.mark.slow  # boto3 waits between its tries


@pytest.mark.parametrize(
    "code",
    [
        "ThrottlingException",
        pytest.param("ProvisionedThroughputExceededException", marks=SLOWLY),
        pytest.param("RequestLimitExceeded", marks=SLOWLY),
    ],
)
def test_a_throttled_table_is_asked_again_and_then_told(refusing, code):
    refusing.fates = [refusal(code)] * 3
    with pytest.raises(LedgerUnavailable, match="throttled"):
        address(f"dynamodb://ledger?endpoint={refusing.url}").book("g").look(None)
    assert refusing.seen == ["GetItem"] * 3


def test_a_table_that_is_missing_and_may_not_be_made_is_told_as_missing(refusing):
    refusing.fates = [refusal("ResourceNotFoundException"), refusal("AccessDeniedException")]
    with pytest.raises(LedgerUnavailable, match=NO_TABLE):
        address(f"dynamodb://ledger?endpoint={refusing.url}").book("g").look(None)
    assert refusing.seen == ["GetItem", "CreateTable"]


def test_a_value_that_no_item_takes_is_the_rows_fault_and_not_the_tables(refusing):
    refusing.fates = [refusal("ValidationException", "One or more parameter values were invalid")] * 2
    tables = address(f"dynamodb://ledger?endpoint={refusing.url}").tables()
    with pytest.raises(ValueError, match="One or more parameter values were invalid"):
        tables.record([row()])
    refusing.fates = [
        refusal(
            "TransactionCanceledException",
            CancellationReasons=[{"Code": "ValidationError", "Message": "Number overflow"}, {"Code": "None"}],
        )
    ]
    with pytest.raises(ValueError, match="Number overflow"):
        tables.record([row()])


def test_a_server_that_is_not_there_is_told():
    with pytest.raises(LedgerUnavailable, match=NO_SERVER):
        address("dynamodb://ledger?endpoint=http://127.0.0.1:1").exists()


@pytest.mark.parametrize(
    ("without", "cure"),
    [
        (
            ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
            "there are no credentials. Set AWS_ACCESS_KEY_ID and",
        ),
        (["AWS_SECRET_ACCESS_KEY"], "the credentials are not complete"),
        (["AWS_DEFAULT_REGION"], "no region is named. Write dynamodb://TABLE?region=eu-central-1"),
    ],
)
def test_what_is_not_said_is_told(monkeypatch, without, cure):
    for name in without:
        monkeypatch.delenv(name)
    with pytest.raises(LedgerUnavailable) as caught:
        address("dynamodb://ledger?endpoint=http://127.0.0.1:1").exists()
    assert cure in caught.value.detail


def test_a_profile_that_there_is_not_is_told(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(LedgerUnavailable, match="AWS_PROFILE names no profile of this machine"):
        address("dynamodb://ledger").tables()


def test_every_cure_is_a_sentence_for_people():
    assert all(cure[0].islower() or cure.startswith("AWS_") for cure in CURES.values())
    assert not any(cure.endswith(".") for cure in CURES.values())


def test_the_region_of_the_url_is_asked(refusing):
    with closing(address(f"dynamodb://ledger?region=us-gov-west-1&endpoint={refusing.url}").tables()) as tables:
        assert tables._table._client.meta.region_name == "us-gov-west-1"


def test_boto3_is_not_needed_until_such_a_ledger_is_opened():
    program = "import sys; from servelite.stores.address import address; address('dynamodb://ledger'); assert 'boto3' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_boto3_that_is_missing_is_told_with_its_pip_line(tmp_path):
    program = "import sys; sys.modules['boto3'] = None; from servelite.stores.address import address; address('dynamodb://ledger').tables()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "DefinitionError: A ledger on DynamoDB needs boto3. Install it: pip install 'servelite[aws]'" in done.stderr


@pytest.mark.parametrize(
    ("url", "table", "region", "endpoint"),
    [
        ("dynamodb://ledger", "ledger", None, None),
        ("dynamodb://My.Ledger_2-b/", "My.Ledger_2-b", None, None),
        ("dynamodb://ledger?region=eu-central-1", "ledger", "eu-central-1", None),
        ("dynamodb://ledger?endpoint=http://127.0.0.1:8000", "ledger", None, "http://127.0.0.1:8000"),
        ("dynamodb://ledger?region=us-east-1&endpoint=https%3A%2F%2Fdb.example", "ledger", "us-east-1", "https://db.example"),
    ],
)
def test_a_url_names_a_table_and_perhaps_where_it_is(url, table, region, endpoint):
    where = read_url(url)
    assert (where.table, where.region, where.endpoint) == (table, region, endpoint)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("dynamodb://", "names no table"),
        ("dynamodb://ab", "names no table"),
        ("dynamodb://a b c", "names no table"),
        ("dynamodb://ledger/more", "names no table"),
        ("dynamodb://user:secret@ledger", "names no table"),
        ("dynamodb://ledger:8000", "names no table"),
        ("dynamodb://ledger?zone=eu-central-1", "says 'zone' beside region and endpoint"),
        ("dynamodb://ledger?region=eu-central-1&region=eu-west-1", "says 'a thing' beside region and endpoint"),
        ("dynamodb://ledger?region", "can't be read"),
        ("dynamodb://ledger?region=", "is no region of AWS"),
        ("dynamodb://ledger?region=here", "'here' is no region of AWS"),
        ("dynamodb://ledger?endpoint=127.0.0.1:8000", "The endpoint in the ledger's URL is none"),
        ("dynamodb://ledger?endpoint=http://user:secret@h", "The endpoint in the ledger's URL is none"),
        ("dynamodb:ledger", "has two slashes after 'dynamodb:'"),
    ],
)
def test_a_url_that_names_none_is_told_with_how_to_write_it(url, told):
    with pytest.raises(DefinitionError) as caught:
        address(url)
    assert told in caught.value.detail
    assert "dynamodb://TABLE" in caught.value.detail
    assert "secret" not in caught.value.detail
