"""Who may ask: the Host that a request names, the web page that sent it, and the key it shows; all before its body is read."""

import re
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address

from servelite.adapters.asgi import Scope
from servelite.core.accounts import ApiKey
from servelite.core.errors import BadRequest, Forbidden, MisdirectedHost
from servelite.runtime.keyring import Keyring
from servelite.runtime.refusals import no_function

OPEN_PATHS = frozenset(("/livez", "/readyz"))
"""What needs no key: whoever watches the server need not be able to call it."""

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
"""What changes nothing and costs nothing, so that a page of another origin may send it; it can't read the answer."""

MOST_SHOWN = 100
"""Characters of a name that a client made up which are shown to it again."""

KNOWN_HOSTS = 64
"""Host values remembered as accepted; clients write them, so there is an end to it."""

HOST = re.compile(rb"(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,255})(?::[0-9]{0,5})?", re.IGNORECASE)

AWS_CREDENTIAL = re.compile(rb"AWS4-HMAC-SHA256 Credential=([^/, ]{1,200})/")

Headers = dict[bytes, bytes]


class Guard:
    """Lets a request in, or raises why not.

    `hosts` are the names this server answers to besides its own, None for any; `origins` the web pages that may send more
    than GET, besides those of this server; `keyring` the keys of which every request must show one, None if none is needed.
    """

    def __init__(self, hosts: Collection[str] | None = (), origins: Collection[str] = (), keyring: Keyring | None = None) -> None:
        self._hosts = hosts
        self._origins = {origin.encode() for origin in origins}
        self._keyring = keyring
        self._known: set[bytes] = set()

    @property
    def wants_keys(self) -> bool:
        """Whether requests must show a key."""
        return self._keyring is not None

    def check(self, scope: Scope) -> ApiKey | None:
        """Let a request in and return its key, None where none is needed; a call pays one look at its headers.

        Raises:
            BadRequest: its Host is none.
            MisdirectedHost: its Host is not this server.
            Forbidden: a page of another origin sent it.
            Unauthorized: it shows no key, or none that is valid.
        """
        self.check_sender(scope)
        return self.key(scope)

    def check_sender(self, scope: Scope) -> None:
        """Hold a head against what does not change while the server runs: its own names, and whose pages may send; see `check`."""
        headers = dict(scope["headers"])
        host = headers.get(b"host")  # HTTP/1.0 may leave it out; no browser does
        if host is not None and host not in self._known:
            self._meet(host, scope["server"][0])
        if scope["method"] not in SAFE_METHODS:
            self._check_origin(headers, scope.get("scheme", "http"))

    def key(self, scope: Scope) -> ApiKey | None:
        """Return the key that a request shows, None where none is needed; Unauthorized where there is none that is valid now."""
        if self._keyring is None or scope["path"] in OPEN_PATHS:
            return None
        return self._keyring.holder(_as_bearer(dict(scope["headers"]).get(b"authorization", b"")))

    def _meet(self, host: bytes, own_address: str) -> None:
        """Look at a Host for the first time."""
        name = host_name(host)
        if not (self._hosts is None or name in self._hosts or _is_own(name, own_address)):
            raise MisdirectedHost(f"'{name}' is not a name of this server. If it should be one, --allow-host {name} makes it so.")
        if len(self._known) >= KNOWN_HOSTS:
            self._known.clear()
        self._known.add(host)

    def _check_origin(self, headers: Headers, scheme: str) -> None:
        origin = headers.get(b"origin")
        if origin is None:
            if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
                raise Forbidden("A web page of another site sent this request.")
        elif origin != b"%b://%b" % (scheme.encode("ascii", "replace"), headers.get(b"host", b"")) and origin not in self._origins:
            shown = origin[:255].decode("latin-1")
            raise Forbidden(f"Web pages of '{shown}' may not send this. If they should, --allow-origin lets them.")


def _as_bearer(authorization: bytes) -> bytes:
    """Return the key that AWS' tools send as their access key id, in the way of all others; what they sign can't be checked by a hash."""
    signed = AWS_CREDENTIAL.match(authorization)
    return b"Bearer " + signed[1] if signed else authorization


def host_name(host: bytes) -> str:
    """Return the name in a Host header, without port and in the one way it is compared; BadRequest where there is none."""
    match = HOST.fullmatch(host)
    if not match:
        raise BadRequest("The Host header is no host. Send a name or an address, and perhaps a port.")
    return match[1].decode("ascii").lower().removesuffix(".").strip("[]")


def check_scope(key: ApiKey, function: str, functions: Collection[str]) -> None:
    """Let a key at a function; what else there is, and whether there is one that it may not call, is not told.

    Raises:
        Forbidden: the key is not for it.
        FunctionNotFound: the key would be, but there is none.
    """
    if not key.may_call(function):
        shown = function[:MOST_SHOWN]
        raise Forbidden(f"This key may not call '{shown}'. It may call: {', '.join(key.functions)}. Use another key.")
    if function not in functions:
        raise no_function(function, filter(key.may_call, functions))


def check_admin(key: ApiKey | None, what: str) -> None:
    """Let a key at what is not its account's alone; Forbidden where it is no admin key. Without keys everybody may."""
    if key is not None and not key.is_admin:
        raise Forbidden(f"{what} for admin keys only. servelite keys create --admin makes one.")


def _is_own(name: str, own_address: str) -> bool:
    """Tell whether a name is this machine's in every network: localhost, a loopback address, or the address that was reached."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address == _unmapped(own_address)


def _unmapped(address: str) -> IPv4Address | IPv6Address:
    """Return an address as its client wrote it: a socket for both families shows those of IPv4 as IPv6."""
    found = ip_address(address)
    return (found.ipv4_mapped if isinstance(found, IPv6Address) else None) or found
