"""The interface of a mind, and the messages that it sees."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Literal, Protocol

import attrs

from mtpo_core.notices import Notice
from mtpo_core.runtime import Answer

Role = Literal["system", "user", "assistant", "tool"]

_RESULT = re.compile(r"<result status=\"(\w+)\" call=\"([\d.]*)\">\n(.*)\n</result>", re.DOTALL)


@attrs.frozen
class Message:
    """One message of an agent's private, append-only context."""

    role: Role
    text: str


class Mind(Protocol):
    """A model, or a deterministic stand-in for one."""

    def next(self, messages: Sequence[Message]) -> str:
        """The agent's next message: a tool call somewhere in the text, or a final report without one."""


def result_message(answer: Answer) -> Message:
    """What a tool call came to, as the message that the agent sees."""
    call = "" if answer.call is None else str(answer.call)
    return Message("tool", f'<result status="{answer.kind}" call="{call}">\n{answer.text}\n</result>')


def parse_result(message: Message) -> tuple[str, str, str] | None:
    """(status, call id, text) of a message made by :func:`result_message`."""
    found = _RESULT.search(message.text)
    return (found[1], found[2], found[3]) if found else None


def notice_message(notices: Sequence[Notice]) -> Message:
    """Notifications, as the message that the agent sees before its next inference."""
    return Message("user", "\n".join(notice.text() for notice in notices))


def system_message(name: str, tools: str) -> Message:
    """The first message of every agent."""
    return Message("system", f"You are {json.dumps(name)}, one of several agents on one repository.\n{tools}")
