"""A run's own hold on its log: what can't be logged is not done, so a log that can't be written halts the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from mtpo.spec.records import RecordError
from mtpo_core.errors import RunHalted
from mtpo_core.foreign import one_line
from mtpo_core.log import LogError, RunLog
from mtpo_core.tools import ToolError, brief

_EMPTY: Final[Mapping[str, Any]] = {}


class Journal:
    """The log as the parts of a session use it. ``halted`` says why the run can't go on, once it can't."""

    def __init__(self, log: RunLog) -> None:
        self.log = log
        self.halted: RunHalted | None = None

    def halt(self, property: str, message: str) -> RunHalted:
        """The error to raise; from now on the run is halted, for the reason that came first."""
        error = RunHalted(property, message)
        self.halted = self.halted or error
        return error

    def check(self) -> None:
        """Raises :class:`RunHalted` when the run is halted."""
        if self.halted:
            raise RunHalted(self.halted.property, self.halted.message)

    def append(
        self,
        kind: str,
        *,
        agent: int | None = None,
        call: str | None = None,
        body: Mapping[str, Any] = _EMPTY,
        durable: bool = False,
    ) -> None:
        """Add a record; :class:`RunHalted` when it can't be added."""
        try:
            self.log.append(kind, agent=agent, call=call, body=body, durable=durable)
        except (LogError, RecordError) as error:
            raise self.halt("log.written", f"{kind} can't be logged: {error}") from None

    def put(self, value: bytes | None) -> str:
        """Keep a value; returns its digest."""
        return self.log.put(value)

    def put_json(self, value: Any) -> str:
        """Keep a value as JSON; returns its digest."""
        text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=brief)
        return self.log.put(text.encode(errors="backslashreplace"))

    def get(self, digest: str) -> bytes | None:
        """The value of a digest; :class:`RunHalted` when the log does not give it back."""
        try:
            return self.log.get(digest)
        except LogError as error:
            raise self.halt("log.value", str(error)) from None

    def shown(self, digest: str) -> bytes | None:
        """As :meth:`get`, for foreign code, to which a run that halts is only one more failure."""
        try:
            return self.get(digest)
        except RunHalted as error:
            raise ToolError(one_line(error)) from None
