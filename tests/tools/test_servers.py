"""Servers that are put to the test stand on this machine."""

import pytest

from servelite.core.errors import DefinitionError
from servelite.tools.servers import local_port


@pytest.mark.parametrize(
    ("url", "port"), [("http://127.0.0.1:8080", 8080), ("localhost:9000", 9000), ("http://localhost", 80), ("127.0.0.1:81/functions", 81)]
)
def test_a_server_on_this_machine_has_a_port(url: str, port: int) -> None:
    assert local_port(url, "a test") == port


@pytest.mark.parametrize(
    "url",
    ["http://example.org", "https://127.0.0.1", "http://127.0.0.1.example.org:80", "http://10.0.0.1:80", "http://localhost@example.org"],
)
def test_nobody_elses_server_is_put_under_load(url: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        local_port(url, "a test")
    assert raised.value.detail.startswith(
        f"{url} is not on this machine, and a test puts load on nobody else's server. Run it beside the server"
    )
