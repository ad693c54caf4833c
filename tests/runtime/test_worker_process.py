"""Real worker processes, as the gateway starts them."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from servelite.core.call import BatchReply, Call, Outcome, Question, Told
from servelite.core.errors import DefinitionError, FrameError, FunctionFailed, InvalidInput, NoWorker, TimedOut, WorkerDied
from servelite.core.function import JSON
from servelite.runtime.pool import Pool
from servelite.runtime.worker_process import WorkerProcess
from tests.runtime.fakes import Clock, MemoryLedger, a_machine, a_meter

pytestmark = pytest.mark.anyio

ODDITIES = """
    '''Do as one is told.'''
    import os, signal, sys, time
    from servelite import function

    @function(max_batch=8, timeout_s=0.3)
    def odd(texts: list[str]) -> list[str]:
        for text in texts:
            if text == "loop":
                while True: ...
            if text == "sleep":
                time.sleep(60)
            if text == "exit":
                os._exit(7)
            if text == "print":
                print("to stdout", flush=True)
            if text == "fork":
                if os.fork() == 0:
                    signal.alarm(60)
                    signal.pause()
                os._exit(7)
            if text.isdigit():
                os.kill(os.getpid(), int(text))
        return [f"{text} {os.getpid()}" for text in texts]
"""

ECHO = """
    from servelite import function

    @function
    def echo(body: bytes) -> bytes:
        return body
"""


def text(*bodies: str) -> list[Call]:
    return [Call(str(number), "odd", "text/plain", body.encode()) for number, body in enumerate(bodies)]


def pid_in(reply: BatchReply) -> int:
    return int(reply.outcomes[0].body.split()[1])


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def of_folder(folder: Path) -> WorkerProcess:
    def command(socket_fd: int) -> list[str]:
        return [sys.executable, "-m", "servelite.worker", str(folder), str(socket_fd), "1", str(os.getpid())]

    return WorkerProcess(command, os.environ, folder.name)


@pytest.fixture
async def worker(write_function):
    """Return a maker of worker processes, not yet started: worker(handler source, files); they end with the test."""
    made: list[WorkerProcess] = []

    def make(source: str = ODDITIES, files: dict[str, str] | None = None, name: str = "odd") -> WorkerProcess:
        return make_of(write_function(name, source, files))

    def make_of(folder: Path) -> WorkerProcess:
        made.append(of_folder(folder))
        return made[-1]

    make.of_folder = make_of
    yield make
    for one in made:
        await one.stop()


@pytest.fixture
async def odd(worker: Callable[..., WorkerProcess]) -> WorkerProcess:
    """Return a worker that is ready to do as it is told."""
    made = worker()
    await made.start()
    return made


async def test_a_worker_that_is_ready_says_what_it_serves(worker):
    described = await worker(files={"examples.jsonl": '{"input": "hello"}\n'}).start()
    assert (described.name, described.summary) == ("odd", "Do as one is told.")
    assert (described.limits.max_batch, described.limits.timeout_s) == (8, 0.3)
    assert described.examples == ({"input": "hello"},)


async def test_a_worker_answers_batch_after_batch_in_one_process(odd):
    replies = [await odd.run(text("a", "b")), await odd.run(text("c"))]
    assert [[one.body.split()[0] for one in reply.outcomes] for reply in replies] == [[b"a", b"b"], [b"c"]]
    assert pid_in(replies[0]) == pid_in(replies[1]) != os.getpid()
    assert all(reply.compute_us > 0 and reply.peak_kib > 1000 for reply in replies)


async def test_errors_cross_from_the_worker_with_their_classes(worker):
    made = worker("""
        from servelite import InvalidInput, function

        @function
        def fail(kind: str) -> str:
            raise InvalidInput("Not that.") if kind == "caller" else KeyError("secret")
    """)
    await made.start()
    caller, function = (await made.run(text("caller", "function"))).outcomes
    assert (type(caller.error), str(caller.error)) == (InvalidInput, "Not that.")
    assert type(function.error) is FunctionFailed
    assert "secret" not in str(function.error)


async def test_megabytes_go_there_and_back(worker):
    made = worker(ECHO, name="echo")
    await made.start()
    body = os.urandom(1 << 20) * 20
    (outcome,) = (await made.run([Call("1", "echo", "application/octet-stream", body)])).outcomes
    assert outcome.body == body


async def test_what_a_handler_prints_does_not_get_between(odd):
    assert (await odd.run(text("print"))).outcomes[0].body.startswith(b"print ")


async def test_a_broken_function_is_told_as_in_this_process(worker):
    made = worker("from servelite import function\n\n@function\ndef odd(text): ...\n")
    with pytest.raises(DefinitionError, match=r"handler\.py:3: Parameter 'text' of odd has no type"):
        await made.start()
    assert made._process.returncode is not None


async def test_a_worker_that_ends_while_it_loads_is_told(worker):
    with pytest.raises(WorkerDied, match=r"^The worker of odd exited with code 3\.$"):
        await worker("import os\nos._exit(3)\n").start()


async def test_an_example_that_fails_keeps_no_worker_from_being_ready(worker):
    source = """
        from servelite import function

        @function
        def invert(number: int) -> float:
            return 1 / number
    """
    made = worker(source, {"examples.jsonl": '{"input": 0}\n'})
    assert (await made.start()).examples == ({"input": 0},)
    assert json.loads((await made.run([Call("1", "odd", body=b"2")])).outcomes[0].body) == 0.5


async def test_an_example_that_can_not_be_sent_is_a_definition_error(worker):
    with pytest.raises(DefinitionError, match="not base64"):
        await worker(ECHO, {"examples.jsonl": '{"input": "#!"}\n'}, "echo").start()


@pytest.mark.parametrize("how", ["loop", "sleep"])
async def test_a_batch_past_its_time_limit_is_killed_at_the_limit(odd, how):
    pid = pid_in(await odd.run(text("a")))
    began = time.monotonic()
    with pytest.raises(TimedOut, match=r"^odd ran past its limit of 0\.3 s and was stopped\. Send less, or raise timeout_s\.$"):
        await odd.run(text("a", how))
    assert 0.3 <= time.monotonic() - began < 30
    await odd.stop()
    assert not is_alive(pid)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("exit", "exited with code 7"),
        ("11", "was ended by SIGSEGV"),
        ("9", "was ended by SIGKILL"),
        pytest.param("40", "was ended by signal 40"),
    ],
)
async def test_a_worker_that_died_is_told_with_its_exit_code_or_signal(odd, how, said):
    with pytest.raises(WorkerDied, match=f"^The worker of odd {said}\\.$"):
        await odd.run(text(how))


async def test_a_worker_that_died_stays_dead(odd):
    for _ in range(2):
        with pytest.raises(WorkerDied, match="exited with code 7"):
            await odd.run(text("exit"))


async def test_a_worker_that_died_is_told_at_once_though_its_child_lives_on(odd):
    began = time.monotonic()
    with pytest.raises((WorkerDied, TimedOut)):
        await odd.run(text("fork"))
    assert time.monotonic() - began < 30


async def test_a_worker_that_died_while_it_was_idle_costs_no_call(worker, write_function):
    folder, workers = write_function("odd", ODDITIES), []
    meter, clock = a_meter(MemoryLedger(), Clock()), Clock()
    pool = Pool("odd", lambda _: workers.append(worker.of_folder(folder)) or workers[-1], meter, clock, a_machine())
    await pool.start()
    workers[0]._process.kill()
    await workers[0]._process.wait()
    answer = await pool.answer(text("a")[0])
    await pool.stop()
    assert answer.error is None


async def test_stopping_leaves_no_process(odd):
    pid = pid_in(await odd.run(text("a")))
    assert is_alive(pid)
    await odd.stop()
    assert not is_alive(pid)


async def test_a_worker_that_died_can_be_stopped(odd):
    with pytest.raises(WorkerDied):
        await odd.run(text("exit"))
    await asyncio.wait_for(odd.stop(), 1)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("leave", ["cancelled", "killed"])
async def test_a_start_that_is_given_up_at_any_moment_leaves_no_process(worker, leave, turns):
    made = worker()
    starting = asyncio.create_task(made.start())
    for _ in range(turns):
        await asyncio.sleep(0)
    starting.cancel() if leave == "cancelled" else made.kill(WorkerDied("No more."))
    with pytest.raises((asyncio.CancelledError, WorkerDied)):
        await starting
    await made.stop()
    assert made._process is None or made._process.returncode is not None


def test_a_loop_may_end_as_soon_as_its_pool_has_stopped_though_a_worker_was_just_saying_goodbye(write_function):
    source = """
        import atexit, time
        from servelite import function

        atexit.register(time.sleep, 0.3)

        @function
        def odd(text: str) -> str:
            return text
    """
    made: list[WorkerProcess] = []

    def new_worker(_: int) -> WorkerProcess:
        made.append(of_folder(folder))
        return made[-1]

    async def live() -> None:
        pool = Pool("odd", new_worker, a_meter(MemoryLedger(), Clock()), Clock(), a_machine())
        await pool.start()
        pool.workers.sleep("idle")
        await asyncio.sleep(0)
        await pool.stop()

    folder = write_function("odd", source)
    asyncio.run(live())
    assert [one._process.returncode for one in made] == [0]


async def test_a_worker_may_say_goodbye_when_it_is_stopped(worker, tmp_path):
    made = worker(f"""
        import atexit
        from pathlib import Path
        from servelite import function

        atexit.register(Path({json.dumps(str(tmp_path / "goodbye"))}).touch)

        @function
        def odd(text: str) -> str:
            return text
    """)
    await made.start()
    await made.stop()
    assert (tmp_path / "goodbye").exists()


async def test_a_folder_may_have_braces_in_its_path(worker, write_function):
    folder = write_function("odd", ODDITIES)
    braced = folder.parent.rename(folder.parent.with_name("my{functions}")) / "odd"
    assert (await worker.of_folder(braced).start()).name == "odd"


async def test_a_forked_child_that_comes_back_answers_nobody(worker):
    made = worker("""
        import os
        import time
        from servelite import function

        @function
        def odd(text: str) -> str:
            if text == "fork" and os.fork() == 0:
                time.sleep(0.2)
                return "from the child"
            return text
    """)
    await made.start()
    assert (await made.run(text("fork"))).outcomes[0].body == b"fork"
    for _ in range(5):
        await asyncio.sleep(0.1)
        assert (await made.run(text("mine"))).outcomes[0].body == b"mine"


ASKS = """
    from servelite import Context, function

    @function(timeout_s=2)
    def asks(number: int, context: Context) -> int:
        return 10 * context.call("other", number) + context.call("other", number + 1)
"""


async def test_what_a_handler_asks_comes_to_the_gateway_and_what_is_told_to_the_handler(worker):
    made = worker(ASKS, {"examples.jsonl": '{"input": 1}\n'}, name="asks")
    asked: list[Question] = []

    def answer(question: Question) -> None:
        asked.append(question)
        made.tell(Told(question.number, Outcome(question.body), JSON))

    made.on_ask = answer
    await made.start()  # its first example calls nobody
    assert asked == []
    for batch in ("id-1", "id-2"):
        (outcome,) = (await made.run([Call(batch, "asks", body=b"3")])).outcomes
        assert (outcome.body, outcome.error) == (b"34", None)
    assert [(one.parent, one.function, one.media_type, one.body) for one in asked] == [
        (batch, "other", JSON, body) for batch in ("id-1", "id-2") for body in (b"3", b"4")
    ]
    assert len({one.number for one in asked}) == 4


async def test_an_error_that_is_told_is_raised_in_the_handler(worker):
    made = worker(ASKS, name="asks")
    error = NoWorker("other: There is no memory.")
    error.stage = "other"
    made.on_ask = lambda question: made.tell(Told(question.number, Outcome(error=error), ""))
    await made.start()
    (outcome,) = (await made.run([Call("1", "asks", body=b"3")])).outcomes
    assert (type(outcome.error), outcome.error.detail) == (NoWorker, "other: There is no memory.")


async def test_a_handler_that_is_told_nothing_runs_into_its_time_limit(worker):
    made = worker(ASKS.replace("timeout_s=2", "timeout_s=0.2"), name="asks")
    await made.start()
    with pytest.raises(TimedOut):
        await made.run([Call("1", "asks", body=b"3")])
    made.tell(Told(0, Outcome(b"1"), JSON))  # too late for anybody


async def test_a_worker_whose_question_may_not_be_asked_is_ended(worker, caplog):
    made = worker(ASKS, name="asks")

    def refuse(question: Question) -> None:
        raise FrameError("It asked for a call that it does not run.")

    made.on_ask = refuse
    await made.start()
    with pytest.raises(WorkerDied, match=r"^The worker of asks was ended: It asked for a call that it does not run\.$"):
        await made.run([Call("1", "asks", body=b"3")])
    assert "a worker is ended: It asked for a call that it does not run." in caplog.text
    assert not made.is_alive


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        pytest.param(
            "frames.pack_ask(Question(1, 'id', 'f', '', b''))", "It asked for another function before it was ready", id="a question"
        ),
        pytest.param("b'HTTP/1.1 200 OK'", "A frame says that it has 1213486160 bytes", id="no frame"),
    ],
)
async def test_a_worker_that_speaks_out_of_turn_is_ended(worker, frame, told):
    source = f"""
        import os, sys, time
        from servelite.core import frames
        from servelite.core.call import Question
        from servelite import function

        os.write(int(sys.argv[2]), {frame})
        time.sleep(60)
    """
    with pytest.raises(WorkerDied, match=f"The worker of odd was ended: {told}"):
        await worker(source).start()
