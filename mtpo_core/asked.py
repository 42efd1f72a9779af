"""What the embedding code hands to a session, checked before anything is done: one clear line, or it is fine."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from mtpo_core.clock import ClockError, seconds
from mtpo_core.errors import SessionError
from mtpo_core.events import Key
from mtpo_core.log import RunLog
from mtpo_core.resources.base import Resource
from mtpo_core.tools import Toolbox, ToolCall, brief, encodable

_CALL: Final = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def text(what: str, value: object) -> None:
    """A text that can be written as UTF-8."""
    if not isinstance(value, str) or not encodable(value):
        raise SessionError(f"{what} must be text, got {brief(value)}")


def name(what: str, value: object) -> None:
    """A text that can stand in a line: not blank, no line ends or other control characters."""
    text(what, value)
    assert isinstance(value, str)
    if not value.strip() or any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in value):
        raise SessionError(f"{what} must have visible characters and no control characters, got {brief(value)}")


def one_of(what: str, value: object, known: Collection[str]) -> None:
    """One of a few words."""
    if not isinstance(value, str) or value not in known:
        raise SessionError(f"open: unknown {what} {brief(value)}; known: {', '.join(known)}")


def toolbox(value: object) -> None:
    """Tools that have been checked and have names: not just a list of some."""
    if not isinstance(value, Toolbox):
        raise SessionError(f"open: the tools must be a Toolbox, as Toolbox([*file_tools(), mine]); got {brief(value)}")


def key(what: str, value: object) -> Key:
    """A call by its key, or as a call id."""
    if isinstance(value, Key):
        return value
    if not isinstance(value, str) or not _CALL.fullmatch(value):
        raise SessionError(f"{what} must be a call id RANK.SEQ or a key, as in Answer.call; got {brief(value)}")
    return Key.parse(value)


def wait(value: object) -> float:
    """Seconds from 0, infinity included."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise SessionError(f"call: wait must be seconds from 0 (math.inf: as long as it takes), got {brief(value)}")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def request(value: object) -> ToolCall:
    """A tool call whose arguments are what JSON can hold; what a model may get wrong beyond that is for the tool."""
    if not isinstance(value, ToolCall) or not isinstance(value.name, str) or not encodable(value.name):
        raise SessionError(f"call: the request must be a ToolCall with a tool's name, got {brief(value)}")
    if not isinstance(value.args, Mapping) or not all(isinstance(key, str) for key in value.args):
        raise SessionError(f"call: {value.name}: the arguments must be a mapping by name, got {brief(value.args)}")
    try:
        args = dict(value.args)
        json.dumps(args, sort_keys=True, allow_nan=False)
    except Exception as error:  # noqa: BLE001 - a mapping of the caller's own may raise anything
        reason = " ".join(str(error).split())
        raise SessionError(f"call: {value.name}: the arguments can't be written as JSON: {reason}") from None
    return ToolCall(value.name, args)


def clock(value: object) -> None:
    """A function without arguments that gives seconds."""
    if not callable(value):
        raise SessionError(f"open: the clock must be a function that gives seconds, got {brief(value)}")
    try:
        seconds(value)
    except ClockError as error:
        raise SessionError(f"open: {error}; it must give seconds, and is called without arguments") from None


def log_place(resource: Resource, path: str | Path) -> None:
    """A log lies outside the trees that the run works in."""
    for place in getattr(resource, "places", ()):
        if Path(path).absolute().resolve().is_relative_to(place):
            raise SessionError(f"open: the log {path} would lie in the tree that it is the log of; put it elsewhere")


def body(kind: object, value: object, log: RunLog) -> dict[str, Any]:
    """The body of an ``infer`` or ``judge`` record, in the form of ``docs/records.md``.

    Fields beyond that form are let through, as the format allows.
    """
    forms = _INFER if kind == "infer" else _JUDGE if kind == "judge" else None
    if forms is None:
        raise SessionError(f"record: kind must be infer or judge, got {brief(kind)}; the session writes all others")
    if not isinstance(value, Mapping) or not all(isinstance(field, str) for field in value):
        raise SessionError(f"record: the body of {kind} must be a mapping by field, got {brief(value)}")
    found = dict(value)
    for field, (wanted, fits) in forms.items():
        if field not in found:
            raise SessionError(f"record: {kind}: field {field!r} is missing; it is {wanted}")
        if not fits(found[field]):
            raise SessionError(f"record: {kind}: field {field!r} must be {wanted}, got {brief(found[field])}")
    if kind == "infer" and found["text"] is not None and not log.holds(found["text"]):
        raise SessionError("record: infer: field 'text' names no value of this log; put the text into the log first")
    if kind == "infer" and found["began"] > (now := log.elapsed()):
        raise SessionError(f"record: infer: field 'began' is {found['began']} s, and the run is {now} s old")
    return found


@attrs.define
class Recorded:
    """What agents were told and what was recorded for them: the rules for records that one record does not show."""

    open: dict[int, set[int]] = attrs.Factory(dict)
    """By agent, the notifications that it was given and that nobody has judged."""
    steps: dict[int, int] = attrs.Factory(dict)
    """By agent, the engine step with which its last inference ended."""

    def told(self, agent: int, ids: Iterable[int]) -> None:
        """Notifications were delivered."""
        self.open.setdefault(agent, set()).update(ids)

    def check(self, kind: str, agent: int, body: Mapping[str, Any]) -> None:
        """Raises :class:`SessionError` when a body of the right form can't be the next of the agent."""
        if kind == "judge":
            odd = sorted(set(body["ids"]) - self.open.get(agent, set()))
            if odd:
                raise SessionError(f"record: judge: agent {agent} has no notification {odd[0]} that is not yet judged")
        elif body["steps"][0] < (last := self.steps.get(agent, 0)):
            raise SessionError(f"record: infer: steps begin with {body['steps'][0]}; agent {agent} is at step {last}")

    def add(self, kind: str, agent: int, body: Mapping[str, Any]) -> None:
        """A record was written."""
        if kind == "judge":
            self.open.get(agent, set()).difference_update(body["ids"])
        else:
            self.steps[agent] = body["steps"][1]


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 2**53


def _counts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(_count, value))


def _seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 2**53


_Forms = Mapping[str, tuple[str, Callable[[Any], bool]]]

_INFER: Final[_Forms] = {
    "began": ("seconds since the run opened", _seconds),
    "prompt_tokens": ("a number from 0", _count),
    "new_tokens": ("a number from 0", _count),
    "steps": ("[first, last] engine steps", lambda x: _counts(x) and len(x) == 2 and x[0] <= x[1]),
    "text": ("a digest, or None", lambda x: x is None or (isinstance(x, str) and bool(_DIGEST.fullmatch(x)))),
}
_JUDGE: Final[_Forms] = {
    "ids": ("a list of notifications' numbers, none twice", lambda x: _counts(x) and len(set(x)) == len(x)),
    "verdict": ("ignore, repair or retract", lambda x: isinstance(x, str) and x in ("ignore", "repair", "retract")),
    "waiver": (
        "mechanical, replayed, trusted or None",
        lambda x: x is None or (isinstance(x, str) and x in ("mechanical", "replayed", "trusted")),
    ),
}
