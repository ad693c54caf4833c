"""`servelite run`: serve functions over HTTP until Ctrl-C."""

import ipaddress
import logging
import sys
from pathlib import Path

import click

from servelite.assembly.environment import DEFAULT_LEDGER
from servelite.cli.options import MOST_BODY_BYTES, MOST_MEMORY_BYTES, HostName, Origin, Size, config_option, ledger_option
from servelite.core.errors import DefinitionError
from servelite.core.logs import log_handler

logger = logging.getLogger("servelite.http")


@click.command("run")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; beyond this machine only with --require-key.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes any free one.")
@click.option("--max-body", default="6MiB", show_default=True, type=Size(MOST_BODY_BYTES), help="Longest body of a call.")
@click.option("--memory", type=Size(MOST_MEMORY_BYTES), help="What all workers may use together.  [default: 80 % of this machine's]")
@click.option("--reload", is_flag=True, help="Serve a function anew when a file of it is saved.")
@click.option("--require-key", is_flag=True, help="Answer only those who send a key; servelite keys makes them.")
@click.option("--allow-host", multiple=True, type=HostName(), metavar="NAME", help="Another name of this server, as behind a proxy.")
@click.option("--allow-origin", multiple=True, type=Origin(), metavar="URL", help="Web pages that may call besides the server's own.")
@ledger_option
@config_option
def run_command(  # noqa: PLR0913  one an option
    *,
    paths: tuple[Path, ...],
    host: str,
    port: int,
    max_body: int,
    memory: int | None,
    reload: bool,
    require_key: bool,
    allow_host: tuple[str, ...],
    allow_origin: tuple[str, ...],
    ledger: str,
    config: Path | None,
) -> None:
    """Serve one function folder, several, or a folder of them.

    \b
    Example:
      servelite run functions/sentiment
      servelite run functions --port 9000
    """
    from servelite.adapters.guard import Guard
    from servelite.adapters.server import bind, serve
    from servelite.assembly.engines import gateway_engine
    from servelite.assembly.environment import read_settings_file

    logging.basicConfig(handlers=[log_handler(is_terminal=sys.stderr.isatty())], level=logging.INFO)
    if require_key and ledger == "none":
        raise DefinitionError("--require-key finds its keys in the ledger, and --ledger none keeps nothing. Leave one of the two out.")
    listener = bind(host, port)
    is_local = ipaddress.ip_address(listener.getsockname()[0]).is_loopback
    if not (is_local or require_key):
        raise DefinitionError(f"Others can reach {host}, so calls need a key. Add --require-key, or stay on --host 127.0.0.1.")
    takes_any_host = not (is_local or allow_host)  # what a Host is checked for is a page, and a page has no key
    engine = gateway_engine(paths, ledger, read_settings_file(config), max_body, memory)
    keyring = engine.accounts.keyring if require_key else None
    guard = Guard(None if takes_any_host else {host.lower(), *allow_host}, allow_origin, keyring)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listener.getsockname()[1]}"
    playground = "" if require_key else f"playground at {url}/, "
    where = "" if ledger == DEFAULT_LEDGER else ", with this server's --ledger"
    watched = engine.folders if reload else {}

    def say_ready() -> None:
        names = ", ".join(one.name for one in engine.described()) or "nothing yet"
        if keyring is not None and not keyring.opens:
            logger.warning("no key is valid yet, so nobody is answered. Make one: servelite keys create --account NAME%s", where)
        click.echo(f"Serving {names} on {url} ({playground}Ctrl-C stops)")

    serve(engine, guard, listener, say_ready, watched)
