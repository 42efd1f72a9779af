"""Solvers in processes of their own: each question has a hard limit of time and memory, and what was answered stays.

A solver's own limit is a request that it may miss by minutes, deep in one step of preprocessing; so may memory grow.
Here a process that misses its limit is killed, whatever it does, and another takes its place: one question is lost, no
more. Children are forks, so they know what their parent knows, a spec typed into a notebook for one. Where there are no
forks the work is done in the calling process, under the solver's own limits.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Generic, TypeVar

import attrs

Q = TypeVar("Q")
A = TypeVar("A")

GRACE = 5.0
"""Seconds beyond a solver's own limit after which its process is killed."""

MEMORY_MB = 4_096
"""Memory that z3 may use in one process, in MiB."""

_NEVER = float("inf")
_PR_SET_PDEATHSIG = 1
_deadline: Any = None
"""In a child: until when (monotonic seconds) the present question must be answered, shared with the parent."""


@attrs.frozen
class Lost:
    """No answer: the process was killed or has died, and why."""

    why: str


class Interrupted(KeyboardInterrupt):
    """Somebody has stopped the work (Ctrl-C). ``found`` is what it came to: what was answered stays, the rest says that
    nothing is known of it."""

    def __init__(self, how_far: str, found: Sequence[Any]) -> None:
        super().__init__(how_far)
        self.found = found


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """What is done here takes at most so many seconds, or costs the child its life."""
    if _deadline is None:
        yield
        return
    _deadline.value = time.monotonic() + seconds + GRACE
    try:
        yield
    finally:
        _deadline.value = _NEVER


def check(solver: Any, timeout_ms: int, *assumed: Any) -> Any:
    """What a z3 solver says, given so many milliseconds."""
    solver.set("timeout", timeout_ms, "ctrl_c", False)  # an interrupt is for us, not for z3 to swallow
    with limited(timeout_ms / 1000):
        return solver.check(*assumed)


def processes() -> int:
    """How many children there may usefully be: the cores that this process may use; 0 where there can be none."""
    if "fork" not in multiprocessing.get_all_start_methods() or multiprocessing.current_process().daemon:
        return 0
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Children(Generic[Q, A]):
    """``count`` children, each of which calls ``serve`` once and answers questions with what it returns.

    A context manager. With no children the questions are answered in this process. ``limit``: seconds for a whole
    question, what is done of it outside the solver included; what is asked of the solver has limits of its own.
    """

    def __init__(self, serve: Callable[[], Callable[[Q], A]], count: int, limit: float = _NEVER) -> None:
        self._serve = serve
        self._count = count
        self._limit = limit
        self._children: list[_Child] = []
        self._here: Callable[[Q], A] | None = None

    def __enter__(self) -> Children[Q, A]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        while self._children:
            self._children.pop().kill()

    def ask(self, question: Q) -> A | Lost:
        """The answer to one question."""
        ((_, answer),) = self.map([question])
        return answer

    def map(
        self, questions: Sequence[Q], begin: Callable[[int], None] = lambda number: None
    ) -> Iterator[tuple[int, A | Lost]]:
        """Number and answer of each question, in the order in which they come; ``begin(number)`` when it is asked.

        What a question raises in a child is raised here.
        """
        if self._count == 0:
            self._here = self._here or self._serve()
            for number, question in enumerate(questions):
                begin(number)
                yield number, self._here(question)
            return
        while len(self._children) < min(self._count, len(questions)):
            self._children.append(_Child(self._serve))
        waiting = iter(range(len(questions)))
        busy: dict[_Child, int] = {}

        def next_for(child: _Child) -> None:
            number = next(waiting, None)
            if number is None:
                return
            begin(number)
            if not child.asked(questions[number], self._limit):  # it died while it had nothing to do
                child = self._instead(child)
                child.asked(questions[number], self._limit)
            busy[child] = number

        for child in list(self._children):
            next_for(child)
        while busy:
            ready = multiprocessing.connection.wait([child.pipe for child in busy], timeout=0.1)
            for child in list(busy):
                answer = child.answer(child.pipe in ready)
                if answer is None:
                    continue
                number = busy.pop(child)
                if isinstance(answer, Lost):
                    child = self._instead(child)
                next_for(child)
                yield number, answer

    def _instead(self, child: _Child) -> _Child:
        """Another child in the place of one that is lost."""
        child.kill()
        other = _Child(self._serve)
        self._children[self._children.index(child)] = other
        return other


class _Child:
    """One child process, its pipe, and its deadline."""

    def __init__(self, serve: Callable[[], Callable[[Any], Any]]) -> None:
        context = multiprocessing.get_context("fork")
        self.deadline = context.Value("d", _NEVER, lock=False)
        self.until = _NEVER
        self.pipe, theirs = context.Pipe()
        arguments = (serve, theirs, self.pipe, self.deadline, os.getpid())
        self.process = context.Process(target=_live, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    def asked(self, question: Any, limit: float) -> bool:
        """Ask a question; false if nobody is there."""
        self.until = time.monotonic() + limit
        try:
            self.pipe.send(question)
        except ConnectionError:
            return False
        return True

    def answer(self, ready: bool) -> Any:
        """The answer, if it has come; :class:`Lost` if it will not; else None."""
        if ready:
            try:
                good, answer = self.pipe.recv()
            except (EOFError, ConnectionError):
                self.process.join()
                return Lost(f"the solver's process died ({_death(self.process.exitcode)})")
            if not good:
                raise answer
            return answer
        if time.monotonic() > min(self.deadline.value, self.until):
            return Lost("the solver did not keep its time limit and was stopped")
        return None

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"


def _live(serve: Callable[[], Callable[[Any], Any]], pipe: Any, theirs: Any, deadline: Any, parent: int) -> None:
    """What a child does until it is killed, or its parent is gone."""
    global _deadline
    _deadline = deadline
    theirs.close()  # a copy of the parent's end, which would outlive the parent
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the parent, who says what was shown
    _limit_memory()
    answer: Callable[[Any], Any] | None = None
    while True:
        try:
            question = pipe.recv()
        except EOFError:
            return
        try:
            answer = answer or serve()
            pipe.send((True, answer(question)))
        except BaseException as error:  # noqa: BLE001 - it is raised again, by the parent
            pipe.send((False, _sendable(error)))


def _die_with(parent: int) -> None:
    """Be killed when the parent is gone, in the middle of a question too, where the system can do that (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _limit_memory() -> None:
    import z3

    z3.set_param("memory_max_size", MEMORY_MB)


def _sendable(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - an error that can't be sent is told
        return RuntimeError("".join(traceback.format_exception(error)))
    return error
