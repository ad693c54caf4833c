"""Load on any running servelite, made by Locust: `locust -f loadtests/locustfile.py --host http://127.0.0.1:8080`; see README.md."""

from servelite.tools.loadtest.swarm import counting, options, page
from servelite.tools.loadtest.swarm.callers import Caller
from servelite.tools.loadtest.swarm.pattern import Pattern

options.listen()
counting.listen()
page.listen()

__all__ = ["Caller", "Pattern"]
