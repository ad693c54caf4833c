"""The shapes of a load, as Locust asks for them: so many users, each second anew."""

import time
from typing import Any, ClassVar

from locust import LoadTestShape

from servelite.tools.loadtest.levels import level

LEARNED_WITHIN_S = 60.0
"""Where there is no user by then, none will come."""


class Pattern(LoadTestShape):
    """As many users as Locust's own options say, or fewer of them, as `--shape` does; the run begins with the first user."""

    abstract: ClassVar[bool] = False
    use_common_options: ClassVar[bool] = True
    _asked_s = _begun_s = 0.0

    def reset_time(self) -> None:
        self._asked_s, self._begun_s = time.perf_counter(), 0.0

    def tick(self) -> tuple[int, float] | None:
        assert self.runner is not None
        now_s = time.perf_counter()
        if not self._begun_s and self.runner.user_count:
            self._begun_s = now_s  # before, functions were learned
        if not self._begun_s and now_s - self._asked_s > LEARNED_WITHIN_S:
            return None
        return self._users(now_s - self._begun_s if self._begun_s else 0.0, self.runner.environment.parsed_options)

    def _users(self, at_s: float, options: Any) -> tuple[int, float] | None:
        if options.run_time and at_s >= options.run_time:
            return None
        users, spawn_rate = options.num_users or 1, float(options.spawn_rate or 1)
        if options.shape != "steady":
            spawn_rate = max(spawn_rate, float(users))  # the shape says when; Locust waits until they are there
        return max(1, round(users * level(options.shape, at_s, options.run_time))), spawn_rate
