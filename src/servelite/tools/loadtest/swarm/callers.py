"""Locust's users: each calls the functions that were learned with what was learned of them, and looks at the answers."""

import random
import time
from typing import Any

import gevent
from gevent.pool import Pool
from locust import FastHttpUser, task
from locust.exception import StopUser

from servelite.assembly.environment import own_key
from servelite.tools.loadtest.questions import Lesson, Question, Reply
from servelite.tools.loadtest.swarm.counting import COUNTING

MOST_AT_ONCE = 64
"""Calls that one user has under way at most where it calls at a rate; those that wait for that count from when they were due."""

ENDS_WITHIN_S = 5.0


class Failed(Exception):
    """A call without a right answer, by its code: Locust counts errors by how they are written, and writes them with `repr`."""

    def __repr__(self) -> str:
        return str(self)


class Caller(FastHttpUser):
    """Calls again when it is answered; or, with `--rate`, at random moments so many times a second, whether it is answered or not."""

    concurrency = MOST_AT_ONCE

    def on_start(self) -> None:
        if not COUNTING.lessons:
            raise StopUser
        key = own_key()
        self._shown = {"Authorization": f"Bearer {key}"} if key else {}
        self._under_way = Pool(MOST_AT_ONCE)
        self._due_s = time.perf_counter()

    def on_stop(self) -> None:
        if COUNTING.lessons:
            self._under_way.join(timeout=ENDS_WITHIN_S)

    @task
    def call(self) -> None:
        """Make a call, or see to it that one is made when it is due."""
        options: Any = self.environment.parsed_options
        (lesson,) = random.choices(COUNTING.lessons, COUNTING.weights)
        question = random.choice(lesson.questions)
        if not options.rate:
            self._ask(lesson, question, time.perf_counter())
            return
        self._due_s += random.expovariate(options.rate)
        gevent.sleep(max(0.0, self._due_s - time.perf_counter()))
        self._under_way.spawn(self._ask, lesson, question, self._due_s)

    def _ask(self, lesson: Lesson, question: Question, due_s: float) -> None:
        headers = {"Content-Type": lesson.media_type, **self._shown}
        body: Any = question.body
        with self.client.post(lesson.path, data=body, name=lesson.function.name, headers=headers, catch_response=True) as response:
            took_s = time.perf_counter() - due_s
            reply = _reply(response)
            error, words = lesson.judge(question, reply)
            response.request_meta["response_time"] = took_s * 1000  # from when it was due
            if error:
                response.failure(Failed(error))
            else:
                response.success()
        COUNTING.count(lesson, took_s, reply, error, words)


def _reply(response: Any) -> Reply:
    if not response.status_code:
        return Reply(0, body=str(response.error).encode())
    return Reply(response.status_code, {name.lower(): said for name, said in response.headers.items()}, response.content or b"")
