"""Objects: what S3 tells of is read, answered, and the result written; never a result again."""

import pytest

from servelite.adapters.aws_lambda.stored import Stored, result_place
from servelite.core.errors import DefinitionError, ServeliteError
from tests.adapters.aws_lambda.conftest import Starter
from tests.adapters.aws_lambda.lambdas import SHOUT, Lambda, event

INPUT = ("application/json", b'{"x": [1, 2.5]}')


def put(function: Lambda, *keys: str, name: str = "ObjectCreated:Put") -> dict[str, object]:
    """Return a notification of some objects."""
    first = event("s3_put")["Records"][0]
    objects = [{**first["s3"], "object": {**first["s3"]["object"], "key": key, "sequencer": f"{place}"}} for place, key in enumerate(keys)]
    return {"Records": [{**first, "eventName": name, "s3": one} for one in objects]}


def test_an_object_is_answered_beside_it(total: Lambda) -> None:
    total.objects.kept["servelite-data", "public/demo/my file(2).json"] = INPUT
    place = "s3://servelite-data/public/demo/my file(2).json"
    assert total(event("s3_put")) == [{"input": place, "output": f"{place}.servelite.json"}]
    assert total.objects.kept["servelite-data", "public/demo/my file(2).json.servelite.json"] == ("application/json", b"3.5")


def test_the_version_that_is_told_of_is_read(total: Lambda) -> None:
    total.objects.kept["servelite-data", "public/demo/my file(2).json"] = INPUT
    total(event("s3_put"))
    assert total.objects.asked == [("servelite-data", "public/demo/my file(2).json", "v1")]


def test_a_result_is_written_where_it_is_wanted(start: Starter) -> None:
    shout = start({"shout": SHOUT}, output="s3://results/loud/")
    shout.objects.kept["servelite-data", "a.txt"] = ("text/plain", b"hey")
    assert shout(put(shout, "a.txt"))[0]["output"] == "s3://results/loud/a.txt.servelite.txt"
    assert shout.objects.kept["results", "loud/a.txt.servelite.txt"] == ("text/plain", b"HEY")


def test_a_result_is_never_an_input(total: Lambda) -> None:
    assert total(put(total, "a.servelite.json", "b.servelite.txt", "c.servelite.bin")) == []
    assert total.objects.asked == []


def test_an_object_that_was_deleted_is_no_input(total: Lambda) -> None:
    assert total(put(total, "a.json", name="ObjectRemoved:Delete")) == []


def test_all_objects_are_answered_before_the_first_error_is_raised(total: Lambda) -> None:
    total.objects.kept["servelite-data", "b.json"] = INPUT
    with pytest.raises(ServeliteError, match="there is no such object"):
        total(put(total, "a.json", "b.json"))
    assert total.objects.kept["servelite-data", "b.json.servelite.json"] == ("application/json", b"3.5")


def test_an_object_that_is_too_large_is_not_read(total: Lambda) -> None:
    total.objects.kept["servelite-data", "a.json"] = ("application/json", bytes(64 * 1024**2 + 1))
    with pytest.raises(ServeliteError, match="has more than 64 MiB"):
        total(put(total, "a.json"))


def test_an_object_that_comes_again_is_the_same_call_and_one_that_changed_is_not(total: Lambda) -> None:
    total.objects.kept["servelite-data", "a.json"] = INPUT
    for _ in range(2):
        total(put(total, "a.json"))
    total(put(total, "none.servelite.json", "a.json"))
    first, again, changed = (call["call"] for call in total.calls)
    assert first == again != changed


def test_a_record_that_is_not_as_aws_sends_it_is_refused(total: Lambda) -> None:
    with pytest.raises(ServeliteError, match=r"looks like a record of S3, but has no 's3\.object\.key'"):
        total({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}]})


@pytest.mark.parametrize(
    ("output", "place"),
    [
        ("", ("in", "k.servelite.json")),
        ("s3://out", ("out", "k.servelite.json")),
        ("s3://out/", ("out", "k.servelite.json")),
        ("s3://out/a/b", ("out", "a/b/k.servelite.json")),
    ],
)
def test_where_a_result_goes(output: str, place: tuple[str, str]) -> None:
    assert result_place(Stored("in", "k"), output, "application/json") == place


@pytest.mark.parametrize("output", ["results", "https://results", "s3://Re", "s3:///a"])
def test_a_place_that_is_none_is_refused(output: str) -> None:
    with pytest.raises(DefinitionError, match="names no place"):
        result_place(Stored("in", "k"), output, "application/json")
