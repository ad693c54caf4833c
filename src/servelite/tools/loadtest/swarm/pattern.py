"""The shapes of a load, as Locust asks for them: so many users, each second anew."""

from typing import Any, ClassVar

from locust import LoadTestShape

from servelite.tools.loadtest.levels import level


class Pattern(LoadTestShape):
    """As many users as Locust's own options say, or fewer of them, as `--shape` does; the run begins with the first user."""

    abstract: ClassVar[bool] = False
    use_common_options: ClassVar[bool] = True
    _has_begun = False

    def reset_time(self) -> None:
        super().reset_time()
        self._has_begun = False

    def tick(self) -> tuple[int, float] | None:
        assert self.runner is not None
        if not self._has_begun and self.runner.user_count:
            self.reset_time()  # before, functions were learned
            self._has_begun = True
        options: Any = self.runner.environment.parsed_options
        at_s, time_s = self.get_run_time() if self._has_begun else 0.0, options.run_time
        if time_s and at_s >= time_s:
            return None
        users, spawn_rate = options.num_users or 1, float(options.spawn_rate or 1)
        if options.shape != "steady":
            spawn_rate = max(spawn_rate, float(users))  # the shape says when; Locust waits until they are there
        return max(1, round(users * level(options.shape, at_s, time_s))), spawn_rate
