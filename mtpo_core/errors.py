"""What a session raises: misuse by the code that embeds it, and a run that can't go on."""

from __future__ import annotations


class SessionError(ValueError):
    """The session was asked for something that it can't do: which call, for whom, and what to do. Nothing happened."""


class RunHalted(RuntimeError):
    """The run can't go on: an inverse failed, the state is not what the log says, or the log can't be written.

    The log keeps all so far, and every later call of the session raises this error again; only ``close`` is left.

    ``property`` is the id of what does not hold: `mtpo explain` says what it asks, and what to do.
    """

    def __init__(self, property: str, message: str) -> None:
        super().__init__(f"{property}: {message}")
        self.property, self.message = property, message
