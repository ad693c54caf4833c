"""Load on any running servelite, made by Locust: `locust -f loadtests/locustfile.py --host http://127.0.0.1:8080`; see README.md."""

from servelite.tools.loadtest.swarm.locustfile import Caller, Pattern

__all__ = ["Caller", "Pattern"]
