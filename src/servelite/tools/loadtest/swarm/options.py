"""What Locust is asked beside its own options, on the command line and on its page."""

from collections.abc import Mapping
from typing import Any

from locust import events
from locust.argument_parser import LocustArgumentParser

from servelite.tools.loadtest.learning import SIZES
from servelite.tools.loadtest.levels import SHAPES
from servelite.tools.loadtest.mixes import parse_mix


def listen() -> None:
    """Add the options."""
    events.init_command_line_parser.add_listener(_add)


def mix_of(options: Any) -> Mapping[str, float]:
    """Return how often each function is called; empty for all alike."""
    return parse_mix(options.mix) if options.mix else {}


def _add(parser: LocustArgumentParser, **_: Any) -> None:
    parser.add_argument("--shape", choices=list(SHAPES), default="steady", help="How the number of users changes.")
    parser.add_argument(
        "--rate", type=float, default=0.0, help="Calls a second of each user, answered or not; 0: each calls when answered."
    )
    parser.add_argument("--sizes", choices=list(SIZES), default="examples", help="Inputs as in the examples, or some of them much longer.")
    parser.add_argument("--mix", default="", help="Functions and how often each is called: sentiment=3,topic=1. All alike if empty.")
    parser.add_argument("--book", default="", include_in_web_ui=False, help="Keep what is counted in this file, as JSON.")
