"""A session for code without asyncio."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Literal, TypeVar

from mtpo_core.errors import SessionError
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
        self._outcome: Outcome | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mtpo-session", daemon=True)
        self._thread.start()

        async def build() -> Session:
            return make()

        try:
            self.session = self._run(build())
        except BaseException:
            self._stop()
            raise

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop.is_closed():
            work.close()
            raise SessionError("the session is closed; open another, with another log")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _stop(self) -> None:
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

    def notified(self, agent: int) -> bool:
        """See :meth:`Session.notified`."""
        return self.session.notified(agent)

    def committed(self, agent: int) -> bool:
        """See :meth:`Session.committed`."""
        return self.session.committed(agent)

    def close(self) -> Outcome:
        """See :meth:`Session.close`."""
        if self._outcome is None:
            try:
                outcome = self._run(self.session.close())
            finally:
                self._stop()
            self._outcome = outcome
        return self._outcome
