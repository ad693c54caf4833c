"""What Locust is given: `python -m locust -f` this file."""

from servelite.tools.loadtest.swarm import counting, options, page
from servelite.tools.loadtest.swarm.callers import Caller
from servelite.tools.loadtest.swarm.pattern import Pattern

options.listen()
counting.listen()
page.listen()

__all__ = ["Caller", "Pattern"]
