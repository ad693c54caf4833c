"""What the workers of one function ask of others: passed on, while their core is somebody else's, and told when it is answered."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from servelite.core.call import Answer, Call, Question, Told
from servelite.core.errors import Cancelled, FrameError, ServeliteError, ServiceError
from servelite.core.frames import MOST_QUESTIONS
from servelite.runtime.children import failed, succeeded
from servelite.runtime.dispatcher import Dispatcher
from servelite.runtime.lane import Lane
from servelite.runtime.waiting import FOREVER

LEAST_PATIENCE_S = 0.001
"""What a question may wait whose call is just about to run out of time; 0 would mean as long as its function says."""

MakeCall = Callable[[Call, Question, float], Awaitable[Answer]]
"""Makes the call that a question asks for: of a parent, and within so many seconds; raises where it is refused."""

logger = logging.getLogger("servelite.questions")


@dataclass(slots=True, eq=False)
class Questions:
    """Passes questions on by `make_call`; `unstick` is told when a worker begins to wait."""

    name: str
    dispatcher: Dispatcher
    make_call: MakeCall
    now_us: Callable[[], int]
    unstick: Callable[[], None]

    def asked(self, lane: Lane, question: Question) -> None:
        """Pass a question on.

        Raises:
            FrameError: it is for a call that the worker does not run: nobody may ask in the name of others.
        """
        parent = next((waiting.call for waiting in lane.batch if waiting.call.id == question.parent), None)
        if parent is None:
            raise FrameError(f"A worker of {self.name} asked for a call that it does not run: '{question.parent:.40}'.")
        if question.number in lane.questions or len(lane.questions) >= MOST_QUESTIONS:
            raise FrameError(f"A worker of {self.name} asked one question twice, or more than {MOST_QUESTIONS} at once.")
        left_s = parent.deadline_s - self.now_us() / 1e6
        task = asyncio.ensure_future(self.make_call(parent, question, max(left_s, LEAST_PATIENCE_S)))
        if lane.left_us < FOREVER:  # nobody waits for its batch any more
            task.cancel()
        lane.questions[question.number] = task
        task.add_done_callback(lambda task: self._answered(lane, question, task))
        if len(lane.questions) == 1:
            self.dispatcher.pause(lane)
            self.unstick()

    def _answered(self, lane: Lane, question: Question, task: asyncio.Future[Answer]) -> None:
        """Tell the handler, if its batch still runs; the task may end after it."""
        told = self._told(question, task)
        if lane.questions.get(question.number) is not task:
            return
        del lane.questions[question.number]
        if not lane.questions:
            self.dispatcher.resume(lane)
        lane.worker.tell(told)

    def _told(self, question: Question, task: asyncio.Future[Answer]) -> Told:
        try:
            return succeeded(question, task.result())
        except ServeliteError as error:
            return failed(question, error)
        except asyncio.CancelledError:
            return failed(question, Cancelled("The client left."))
        except Exception as fault:  # the gateway's outer edge for what handlers ask
            about = {"function": self.name, "call": question.parent}
            logger.critical("a call of %s failed in the gateway", question.function, exc_info=fault, extra=about)
            return failed(question, ServiceError("The server failed; its log has the reason."))
