"""Replayed minds: deterministic code in place of a model.

A replayed mind states what it wants to be true (:meth:`ReplayedMind.plan`) in terms of what it believes, and what it
believes comes from its messages alone: results of its calls (of a ``retract``, too, see docs/embedding.md) and
notifications. It has no script that knows the outcome: told of a change, its beliefs change, and the first thing that
is now not as wanted is what it does next. That is the repair.
"""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from mtpo_core.minds.base import Message, parse_result
from mtpo_core.notices import REDONE, parse_notices
from mtpo_core.patches import PatchError, patched
from mtpo_core.resources.filetools import EMPTY
from mtpo_core.resources.names import ROOT, parent
from mtpo_core.tools import CLOSE, ToolCall, ToolError, parse_call

_TRANSFERS = frozenset({"copy_file", "move_file"})
_APPEAR = frozenset({"create_file", "delete_file"}) | _TRANSFERS
_WRITES = frozenset({"write_file", "replace", "append"}) | _APPEAR


class Unknown(Exception):
    """The plan needs to know something first: ``call`` finds it out."""

    def __init__(self, call: ToolCall) -> None:
        super().__init__(call.name)
        self.call = call


@attrs.frozen
class Move:
    """Something to do now: a thought, and the call that does it."""

    thought: str
    call: ToolCall


@attrs.define
class Memory:
    """What an agent believes: texts of files and listings (None: there is none), and what it did not commit yet."""

    beliefs: dict[str, str | None] = attrs.Factory(dict)
    mine: dict[str, str] = attrs.Factory(dict)
    """The last own call, by id, on each file it wrote, and on listings that it may have written."""
    uncommitted: set[str] = attrs.Factory(set)
    commits: dict[str, frozenset[str]] = attrs.Factory(dict)
    """The own commits, by call id: the files that were uncommitted before."""
    told: int = 0
    """Notifications consumed."""

    @classmethod
    def of(cls, messages: Sequence[Message]) -> Memory:
        """Replay the messages into beliefs."""
        memory, asked = cls(), None
        for message in messages:
            # Only a bounce carries notifications in a result: a file that holds the like of one is just a file.
            found = parse_result(message) if message.role == "tool" else None
            if message.role == "assistant":
                try:
                    asked = parse_call(message.text)
                except ToolError:
                    asked = None
            elif found is not None and asked is not None:
                memory._learn(asked, *found)
            if message.role == "user" or (found is not None and found[0] == "bounced"):
                for notice in parse_notices(message.text):
                    memory._told(notice)
        return memory

    def file(self, path: str) -> str | None:
        """The text of a file; raises :class:`Unknown` when it has to be read first."""
        if path not in self.beliefs:
            raise Unknown(ToolCall("read_file", {"path": path}))
        return self.beliefs[path]

    def listing(self, path: str) -> tuple[str, ...]:
        """The names in a directory ``path/``; raises :class:`Unknown` when it has to be listed first."""
        if path not in self.beliefs:
            raise Unknown(ToolCall("list_dir", {"path": path}))
        return tuple(name for name in (self.beliefs[path] or "").split("\n") if name)

    def _learn(self, asked: ToolCall, status: str, call: str, text: str) -> None:
        path = str(asked.args.get("path", ""))
        if status == "bounced":
            return
        if asked.name == "read_file":
            self.beliefs[path] = text if status == "result" else None
        elif asked.name == "list_dir":
            self.beliefs[path] = None if status != "result" else "" if text == EMPTY else text
        elif asked.name in _WRITES:
            for each in (
                [str(asked.args.get(k)) for k in ("source", "destination")] if asked.name in _TRANSFERS else [path]
            ):
                self._wrote(asked, each, status, call)
        elif asked.name == "git_commit" and status == "result":
            self.commits[call] = frozenset(self.uncommitted)
            self.uncommitted.clear()
        elif asked.name == "retract" and status == "result":
            self._withdrawn(call)

    def _wrote(self, asked: ToolCall, path: str, status: str, call: str) -> None:
        """Take in what came of an own write of a file."""
        if status == "refused":
            self.beliefs.pop(path, None)
            return
        if asked.name in _APPEAR or (asked.name == "write_file" and self.beliefs.get(path) is None):
            for listing in _listings(path):  # what became of them must be looked at
                self.beliefs.pop(listing, None)
                self.mine[listing] = call
        self._written(asked.name, path, asked.args)
        self.mine[path] = call
        self.uncommitted.add(path)

    def _written(self, tool: str, path: str, args: Mapping[str, Any]) -> None:
        before = self.beliefs.get(path)
        if tool in {"write_file", "create_file"}:
            self.beliefs[path] = args["content"]
        elif tool == "delete_file":
            self.beliefs[path] = None
        elif before is None or tool in _TRANSFERS:
            self.beliefs.pop(path, None)
        elif tool == "append":
            self.beliefs[path] = before + args["content"]
        else:
            self.beliefs[path] = before.replace(args["old"], args["new"])

    def _withdrawn(self, call: str) -> None:
        """An own call is not in effect any more: what it wrote must be looked at, what it committed is not."""
        self.uncommitted |= self.commits.pop(call, frozenset())
        for path in [p for p, own in self.mine.items() if own == call]:
            self.beliefs.pop(path, None)
            del self.mine[path]

    def _told(self, notice: Mapping[str, Any]) -> None:
        self.told += 1
        # What the agent knows of an object that it has overwritten since still stands.
        changed = {name: change for name, change in notice.get("changed", {}).items() if "under" not in change}
        mine = dict[str, str | None]()
        for name, change in changed.items():
            if name in self.mine:
                # What the own write made of the change is told below, or must be looked at.
                mine[name] = self.beliefs.pop(name, None)
            else:
                self._revise(name, self.beliefs.pop(name, None), change)
        for call, result in notice.get("your_calls", {}).items():
            if result["status"] != REDONE:
                self._withdrawn(call)
                continue
            wrote = changed | result.get("wrote", {})
            for path in [p for p, own in self.mine.items() if own == call and "read" not in result]:
                belief = self.beliefs.pop(path, mine.get(path))
                if path in wrote:
                    self._revise(path, belief, wrote[path])

    def _revise(self, name: str, belief: str | None, change: Mapping[str, Any]) -> None:
        """Believe what was told of an object; where that can't be put to what was believed, nothing."""
        if "now" in change:
            self.beliefs[name] = change["now"]
        elif "bytes" in change:  # as when it is read
            self.beliefs[name] = None
        elif belief is not None:
            with contextlib.suppress(PatchError):
                self.beliefs[name] = patched(belief, change["diff"])


class ReplayedMind(abc.ABC):
    """A deterministic mind: subclasses say what they want."""

    done = "Done."

    @abc.abstractmethod
    def plan(self, memory: Memory) -> Iterator[Move]:
        """The moves that are still to be made, given what is believed; only the first is made."""

    def next(self, messages: Sequence[Message]) -> str:
        """The next message: see :class:`~mtpo_core.minds.base.Mind`."""
        memory = Memory.of(messages)
        try:
            move = next(self.plan(memory), None)
        except Unknown as need:
            return _written(need.call)
        return self.done if move is None else f"{move.thought}\n{_written(move.call)}"


def _listings(path: str) -> Iterator[str]:
    """The listings of the directories above a file."""
    while path != ROOT:
        path = parent(path)
        yield path


def _written(call: ToolCall) -> str:
    """The call as a server returns it, which stops at the closing tag."""
    return call.text().removesuffix(CLOSE)
