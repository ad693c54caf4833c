"""Who may ask: hosts, origins and keys, as table after table."""

from typing import Any

import pytest

from servelite.adapters.guard import KNOWN_HOSTS, Guard, check_admin, check_scope
from servelite.core.accounts import ApiKey
from servelite.core.errors import BadRequest, CallerError, Forbidden, FunctionNotFound, MisdirectedHost, Unauthorized
from servelite.runtime.keyring import Keyring, hash_of

KEY = "sl_ada1_" + "k" * 43
KEPT = ApiKey("ada1", "ada", "laptop", hash_of(KEY.encode()), ("sentiment", "ocr*"))
HERE = "127.0.0.1:8080"
SIGNED = "AWS4-HMAC-SHA256 Credential={}/20261126/eu-central-1/lambda/aws4_request, SignedHeaders=host, Signature=00"


def locked() -> Guard:
    """Return a guard that wants a key."""
    keyring = Keyring(lambda: 7)
    keyring.replace([KEPT])
    return Guard(keyring=keyring)


def ask(
    guard: Guard, host: str | None = HERE, method: str = "POST", path: str = "/functions/x", at: str = "127.0.0.1", **headers: str
) -> ApiKey | None:
    named = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    sent = [(name.encode(), value.encode()) for name, value in named.items() if value is not None]
    return guard.check({"method": method, "path": path, "headers": sent, "server": (at, 8080)})


def refusal(guard: Guard, **asked: Any) -> CallerError:
    with pytest.raises(CallerError) as caught:
        ask(guard, **asked)
    return caught.value


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:1",
        "LOCALHOST:8080",
        "localhost.",
        "a.localhost:80",
        "127.0.0.1",
        "127.9.8.7:65535",
        "[::1]:8080",
        None,
        "[0:0:0:0:0:0:0:1]",
        "127.0.0.1:",
    ],
    ids=str,
)
def test_a_host_of_this_machine_is_this_server(host: str | None) -> None:
    ask(Guard(), host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "notlocalhost",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "0.0.0.0:8080",
        "[::2]",
        "[::ffff:10.0.0.1]",
        "[fe80::1]",
        "127.1",
        "2130706433",
        "localhost..",
        "..localhost.x",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_host_is_misdirected(host: str, method: str) -> None:
    error = refusal(Guard(), host=host, method=method)
    assert isinstance(error, MisdirectedHost)
    assert "--allow-host" in error.detail


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":80",
        "user@localhost",
        "localhost:port",
        "localhost:123456",
        "[::1",
        "::1",
        "[fe80::1%25eth0]",
        "local host",
        "localhost/",
        "a,b",
        "x" * 256,
        "lo\u0441alhost",
    ],
)
@pytest.mark.parametrize("hosts", [(), None], ids=["listed hosts", "any host"])
def test_what_is_no_host_is_a_bad_request(host: str, hosts: tuple[str, ...] | None) -> None:
    assert isinstance(refusal(Guard(hosts), host=host), BadRequest)


def test_allowed_hosts_are_let_in_with_any_port_and_no_others() -> None:
    guard = Guard({"models.example.org"})
    for host in ("models.example.org", "Models.Example.org.:443", HERE):
        ask(guard, host)
    for host in ("example.org", "a.models.example.org"):
        assert isinstance(refusal(guard, host=host), MisdirectedHost)


@pytest.mark.parametrize(("host", "at"), [("10.1.2.3:8080", "10.1.2.3"), ("10.1.2.3", "::ffff:10.1.2.3"), ("[fd00::1]:80", "fd00::1")])
def test_the_address_that_was_reached_is_this_server(host: str, at: str) -> None:
    ask(Guard({"models.example.org"}), host, at=at)


def test_any_host_may_be_named_where_there_is_no_list() -> None:
    ask(Guard(None), "whatever.example")


def test_only_so_many_hosts_are_remembered() -> None:
    guard = Guard(None)
    for number in range(3 * KNOWN_HOSTS):
        ask(guard, f"host-{number}")
        assert len(guard._known) <= KNOWN_HOSTS


def test_a_refused_host_is_refused_again() -> None:
    guard = Guard()
    for _ in range(2):
        assert isinstance(refusal(guard, host="evil.example"), MisdirectedHost)


@pytest.mark.parametrize(
    ("method", "headers", "is_let_in"),
    [
        pytest.param("POST", {}, True, id="no browser"),
        pytest.param("POST", {"origin": f"http://{HERE}"}, True, id="own page"),
        pytest.param("POST", {"origin": f"http://{HERE}", "sec_fetch_site": "same-origin"}, True, id="own page, newer browser"),
        pytest.param("POST", {"sec_fetch_site": "same-origin"}, True, id="own page without Origin"),
        pytest.param("POST", {"sec_fetch_site": "none"}, True, id="typed by a person"),
        pytest.param("POST", {"origin": "https://allowed.example"}, True, id="allowed page"),
        pytest.param("POST", {"origin": "https://allowed.example", "sec_fetch_site": "cross-site"}, True, id="allowed page, newer browser"),
        pytest.param("GET", {"origin": "https://evil.example", "sec_fetch_site": "cross-site"}, True, id="a GET changes nothing"),
        pytest.param("POST", {"origin": "https://evil.example"}, False, id="other page"),
        pytest.param("POST", {"origin": "http://allowed.example"}, False, id="allowed page by another scheme"),
        pytest.param("POST", {"origin": "https://allowed.example:444"}, False, id="allowed page by another port"),
        pytest.param("POST", {"origin": "https://allowed.example.evil.example"}, False, id="allowed page as a prefix"),
        pytest.param("POST", {"origin": f"https://{HERE}"}, False, id="own page by another scheme"),
        pytest.param("POST", {"origin": "http://127.0.0.1:8081"}, False, id="own host, another port"),
        pytest.param("POST", {"origin": "http://127.0.0.1"}, False, id="own host, no port"),
        pytest.param("POST", {"origin": "http://localhost:8080"}, False, id="own host by another name"),
        pytest.param("POST", {"origin": f"http://{HERE}/"}, False, id="not as a browser writes it"),
        pytest.param("POST", {"origin": "null"}, False, id="null"),
        pytest.param("POST", {"origin": ""}, False, id="empty"),
        pytest.param("POST", {"sec_fetch_site": "cross-site"}, False, id="cross-site without Origin"),
        pytest.param("POST", {"sec_fetch_site": "same-site"}, False, id="another port without Origin"),
        pytest.param("DELETE", {"origin": "https://evil.example"}, False, id="another method"),
    ],
)
def test_a_page_may_send_to_its_own_server_only(method: str, headers: dict[str, str], is_let_in: bool) -> None:
    guard = Guard(origins=["https://allowed.example"])
    if is_let_in:
        ask(guard, method=method, **headers)
    else:
        assert isinstance(refusal(guard, method=method, **headers), Forbidden)


@pytest.mark.parametrize("authorization", [f"Bearer {KEY}", f"bearer  {KEY}", f"BEARER {KEY} ", SIGNED.format(KEY)])
def test_the_key_opens_and_says_whose_it_is(authorization: str) -> None:
    assert ask(locked(), authorization=authorization) is KEPT


def test_where_no_key_is_wanted_none_is_looked_at() -> None:
    assert not Guard().wants_keys
    assert ask(Guard(), authorization=f"Bearer {KEY}") is None
    assert ask(Guard(), authorization="nonsense") is None


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        KEY,
        "Bearer",
        "Bearer ",
        f"Basic {KEY}",
        f"Bearer {KEY}k",
        f"Bearer {KEY[:-1]}",
        f"Bearer {KEY.upper()}",
        f"Bearer\t{KEY}",
        f"Bearer {KEY} {KEY}",
        f"Bearer,{KEY}",
        SIGNED.format("AKIAIOSFODNN7EXAMPLE"),
        SIGNED.format(f"{KEY}k"),
        SIGNED.format(""),
        SIGNED.format(KEY).replace("/", " "),
        f"Bearer {SIGNED.format(KEY)}",
        "Bearer \u00fc",
        "Bearer " + "k" * 20_000,
    ],
    ids=lambda value: str(value)[:60],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/functions/x"), ("GET", "/functions"), ("GET", "/"), ("GET", "/metrics"), ("POST", "/livezz")]
)
def test_without_the_key_everything_is_refused_alike(authorization: str, method: str, path: str) -> None:
    error = refusal(locked(), authorization=authorization, method=method, path=path)
    assert isinstance(error, Unauthorized)
    assert error.detail == "The key is missing, wrong, expired or revoked. Send a valid one in the header Authorization: Bearer KEY."


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_health_needs_no_key_but_a_host(path: str) -> None:
    assert ask(locked(), method="GET", path=path) is None
    assert ask(locked(), method="GET", path=path, authorization=f"Bearer {KEY}x") is None
    assert isinstance(refusal(locked(), host="evil.example", method="GET", path=path), MisdirectedHost)


def test_behind_tls_a_page_of_one_s_own_origin_is_of_https() -> None:
    sent = [(b"host", b"models.example"), (b"origin", b"https://models.example")]
    scope = {"method": "POST", "path": "/functions/x", "headers": sent, "server": ("models.example", 443), "scheme": "https"}
    assert Guard(hosts=None).check(scope) is None
    with pytest.raises(Forbidden):
        Guard(hosts=None).check({**scope, "scheme": "http"})


@pytest.mark.parametrize("path", ["/livez/", "//livez", "/livez/x", "/LIVEZ", "/readyz/../functions", "/readyz?x"])
def test_only_the_exact_paths_of_health_are_open(path: str) -> None:
    assert isinstance(refusal(locked(), method="GET", path=path), Unauthorized)


def test_a_page_of_another_origin_is_told_so_whatever_key_it_shows() -> None:
    for key in (KEY, "wrong"):
        assert isinstance(refusal(locked(), origin="null", authorization=f"Bearer {key}"), Forbidden)


# what a key may do


@pytest.mark.parametrize(
    "name", ["topic", "nothing", "", "sentiment2", "detect_ocr", "SENTIMENT", "sentiment/", "../sentiment", "a\n", "x" * 5000]
)
def test_a_function_outside_of_a_key_s_scope_is_forbidden_whether_there_is_one_or_not(name: str) -> None:
    said = set()
    for functions in ([], ["topic", "sentiment"], ["sentiment", name]):
        with pytest.raises(Forbidden) as caught:
            check_scope(KEPT, name, functions)
        said.add(caught.value.detail)
    assert said == {f"This key may not call '{name[:100]}'. It may call: sentiment, ocr*. Use another key."}


def test_a_function_in_a_key_s_scope_is_let_through() -> None:
    for name in ("sentiment", "ocr", "ocr_detect"):
        check_scope(KEPT, name, [name, "topic"])


@pytest.mark.parametrize(
    ("functions", "told"), [(["topic", "sentiment", "ocr_detect"], "ocr_detect, sentiment"), (["topic"], "none")], ids=["some", "none"]
)
def test_a_function_that_does_not_exist_is_told_with_those_in_the_scope_only(functions: list[str], told: str) -> None:
    with pytest.raises(FunctionNotFound) as caught:
        check_scope(KEPT, "ocr_x", functions)
    assert caught.value.detail == f"No function named 'ocr_x'. Functions here: {told}."


def test_what_is_for_admin_keys_is_so_where_there_are_keys() -> None:
    check_admin(None, "The metrics are")
    check_admin(ApiKey("boss", "ada", "", bytes(32), is_admin=True), "The metrics are")
    with pytest.raises(Forbidden, match="The metrics are for admin keys only"):
        check_admin(KEPT, "The metrics are")
