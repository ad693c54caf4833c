"""`servelite run`: serve functions over HTTP until Ctrl-C."""

import ipaddress
import logging
from pathlib import Path

import click

from servelite.assembly import DEFAULT_LEDGER
from servelite.cli.options import Size, ledger_option


@click.command("run")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes any free one.")
@click.option("--max-body", default="6MiB", show_default=True, type=Size(), help="Longest body of a call.")
@ledger_option(default=DEFAULT_LEDGER)
def run_command(paths: tuple[Path, ...], host: str, port: int, max_body: int, ledger: str) -> None:
    """Serve one function folder, several, or a folder of them.

    \b
    Example:
      servelite run functions/sentiment
      servelite run functions --port 9000
    """
    from servelite.adapters.server import bind, serve
    from servelite.assembly import gateway_engine

    logging.basicConfig(format="servelite: %(message)s", level=logging.WARNING)
    listener = bind(host, port)
    engine = gateway_engine(paths, ledger, max_body)
    names = ", ".join(sorted(engine.pools))
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listener.getsockname()[1]}"
    if not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
        click.echo("servelite: warning: there are no keys yet, so whoever reaches this port may call.", err=True)
    serve(engine, listener, ready=lambda: click.echo(f"Serving {names} on {url} (playground at {url}/, Ctrl-C stops)"))
