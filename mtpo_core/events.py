"""What goes into the machine and what comes out of it: events, effects, and the keys of calls. All frozen.

Their names are those of the records of a log and of the actions of the spec (:mod:`mtpo.spec.mtpo`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

import attrs


class Key(NamedTuple):
    """A call's place in the serial order: rank of its author, then issue order."""

    rank: int
    seq: int

    def __str__(self) -> str:
        return f"{self.rank}.{self.seq}"

    @staticmethod
    def parse(text: str) -> Key:
        """The inverse of ``str``; raises ValueError."""
        rank, _, seq = text.partition(".")
        return Key(int(rank), int(seq))


class Policy(Enum):
    """What becomes of undone calls: re-applied mechanically, or withdrawn with their author told."""

    REPLAY = "replay"
    CANCEL = "cancel"


class MachineError(ValueError):
    """An event that the protocol does not allow now: names the event, the clause of the spec and why."""

    def __init__(self, clause: str, message: str) -> None:
        super().__init__(f"{message} [{clause}]")
        self.clause = clause


# -- events --------------------------------------------------------------------------------------------------------


@attrs.frozen
class Launch:
    """An agent enters with the next rank."""


@attrs.frozen
class Read:
    """An agent reads these objects at its position."""

    agent: int
    objects: tuple[str, ...]


@attrs.frozen
class Call:
    """An agent asks to run a write tool with this footprint."""

    agent: int
    reads: frozenset[str]
    writes: frozenset[str]
    invertible: bool = True


@attrs.frozen
class Retract:
    """A call's author takes it out: it judged that it must go."""

    call: Key


@attrs.frozen
class Abort:
    """An agent gives up, or is given up: it acts no more, and its calls are retracted, the greatest first."""

    agent: int


@attrs.frozen
class Undone:
    """The inverse of the call ran."""

    call: Key


@attrs.frozen
class Applied:
    """The acting call ran; ``out`` is the digest it left on each object of its footprint's writes."""

    call: Key
    out: Mapping[str, str]


@attrs.frozen
class Failed:
    """The acting call had no effect."""

    call: Key


@attrs.frozen
class Redone:
    """An undone call was re-applied."""

    call: Key
    out: Mapping[str, str]


@attrs.frozen
class Stranded:
    """An undone call could not be re-applied."""

    call: Key


@attrs.frozen
class Deliver:
    """An agent consumes its notifications."""

    agent: int


@attrs.frozen
class Finish:
    """An agent reports its task complete."""

    agent: int


Event = Launch | Read | Call | Retract | Abort | Undone | Applied | Failed | Redone | Stranded | Deliver | Finish


# -- effects -------------------------------------------------------------------------------------------------------


class Sight(NamedTuple):
    """What a call saw on an object: the write it came from (None: the initial state) and its digest."""

    write: Key | None
    digest: str


@attrs.frozen
class Launched:
    """The agent's rank."""

    agent: int


@attrs.frozen
class Served:
    """A read is answered from these writes; ``filtered`` if a higher-ranked one was screened out."""

    call: Key
    saw: Mapping[str, Sight]
    filtered: bool


@attrs.frozen
class Accepted:
    """A call got its key; ``members`` are the calls to undo first, in key order."""

    call: Key
    members: tuple[Key, ...]


@attrs.frozen
class Retracting:
    """A live call is being taken out; ``members`` are the calls to undo before it, in key order."""

    call: Key
    members: tuple[Key, ...]


@attrs.frozen
class Undo:
    """Run the inverse of a call, a member's or that of the call being retracted; report :class:`Undone`."""

    call: Key


@attrs.frozen
class Exec:
    """Run the acting call; report :class:`Applied` or :class:`Failed`. ``saw``: what its reads are at its position."""

    call: Key
    saw: Mapping[str, Sight]


@attrs.frozen
class Redo:
    """Re-apply a call; report :class:`Redone` or :class:`Stranded`."""

    call: Key
    saw: Mapping[str, Sight]


@attrs.frozen
class Resolved:
    """An undone call is back (``changed``: its author is to be told), or withdrawn as cancelled or stranded."""

    call: Key
    status: str
    saw: Mapping[str, Sight]
    changed: bool


@attrs.frozen
class Settled:
    """The repair of a call is closed; ``stale`` are the calls whose authors have something to be told."""

    call: Key
    stale: tuple[Key, ...]


@attrs.frozen
class Premise:
    """A premise that changed: what the call saw on the object, and what is there now at its position."""

    call: Key
    object: str
    was: str
    now: Sight


@attrs.frozen
class Result:
    """A call whose own outcome changed: ``changed``, ``cancelled`` or ``stranded``."""

    call: Key
    status: str


@attrs.frozen
class Notify:
    """Tell an agent: ``by`` is the call that caused it."""

    agent: int
    id: int
    by: Key
    premises: tuple[Premise, ...]
    results: tuple[Result, ...]


@attrs.frozen
class Delivered:
    """These notifications are consumed; the premises are as of now, several changes of one object merged."""

    agent: int
    ids: tuple[int, ...]
    premises: tuple[Premise, ...]
    results: tuple[Result, ...]


@attrs.frozen
class Bounced:
    """The call was refused: its author has unread notifications."""

    agent: int
    ids: tuple[int, ...]


@attrs.frozen
class Gated:
    """The call has no inverse and is held until these ranks have committed; ask again then."""

    agent: int
    waits_for: tuple[int, ...]


@attrs.frozen
class Finished:
    """The agent is finished, until it is told of a change."""

    agent: int


@attrs.frozen
class Reopened:
    """A finished agent was told of a change and is at work again."""

    agent: int


@attrs.frozen
class Aborted:
    """The agent acts no more; what it had not been told it need not be told."""

    agent: int


@attrs.frozen
class Committed:
    """What the agent did is final."""

    agent: int


Effect = (
    Launched
    | Served
    | Accepted
    | Retracting
    | Undo
    | Exec
    | Redo
    | Resolved
    | Settled
    | Notify
    | Delivered
    | Bounced
    | Gated
    | Finished
    | Reopened
    | Aborted
    | Committed
)
