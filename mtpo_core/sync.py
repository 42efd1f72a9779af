"""A session for code without asyncio."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Literal, TypeVar

from mtpo_core.errors import SessionError
from mtpo_core.events import Key
from mtpo_core.notices import Notice
from mtpo_core.runtime import Answer, Outcome, Session
from mtpo_core.tools import ToolCall

T = TypeVar("T")


class SyncSession:
    """A :class:`Session` whose calls block, from any thread; ``make`` opens it.

    A call without an inverse blocks until every earlier rank has committed. Where one thread drives several agents,
    pass ``wait=0`` to :meth:`call`: the answer is then ``held``, and the call is made again later.
    """

    def __init__(self, make: Callable[[], Session]) -> None:
        self.session = make()
        self._outcome: Outcome | None = None
        self._ended = False
        self._ending = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mtpo-session", daemon=True)
        self._thread.start()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        with self._ending:
            if self._ended:
                work.close()
                raise SessionError("the session is closed; open another, with another log")
            job = asyncio.run_coroutine_threadsafe(work, self._loop)
        return job.result()

    def _stop(self) -> None:
        with self._ending:
            if self._ended:
                return
            self._ended = True
            last = asyncio.run_coroutine_threadsafe(_others(), self._loop)
        last.result()  # who still waits for something learns first that the session is closed
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def launch(self, name: str, task: str = "") -> int:
        """See :meth:`Session.launch`."""
        return self._run(self.session.launch(name, task))

    def call(self, agent: int, request: ToolCall, *, wait: float = math.inf) -> Answer:
        """See :meth:`Session.call`."""
        return self._run(self.session.call(agent, request, wait=wait))

    def drain(self, agent: int) -> tuple[Notice, ...]:
        """See :meth:`Session.drain`."""
        return self._run(self.session.drain(agent))

    def finish(self, agent: int) -> Answer:
        """See :meth:`Session.finish`."""
        return self._run(self.session.finish(agent))

    def wait(self, agent: int) -> Literal["committed", "notified"]:
        """See :meth:`Session.wait`."""
        return self._run(self.session.wait(agent))

    def record(self, kind: Literal["infer", "judge"], agent: int, body: Mapping[str, Any]) -> None:
        """See :meth:`Session.record`."""

        async def write() -> None:
            self.session.record(kind, agent, body)

        self._run(write())

    def retract(self, agent: int, call: Key | str) -> Answer:
        """See :meth:`Session.retract`."""
        return self._run(self.session.retract(agent, call))

    def abort(self, agent: int) -> None:
        """See :meth:`Session.abort`."""
        self._run(self.session.abort(agent))

    def notified(self, agent: int) -> bool:
        """See :meth:`Session.notified`."""
        return self.session.notified(agent)

    def committed(self, agent: int) -> bool:
        """See :meth:`Session.committed`."""
        return self.session.committed(agent)

    def close(self) -> Outcome:
        """See :meth:`Session.close`."""
        if self._outcome is None:
            ended: Outcome = self._run(self.session.close())
            self._outcome = ended
        self._stop()
        return self._outcome


async def _others() -> None:
    """Wait for every other task of the loop."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*tasks, return_exceptions=True)
