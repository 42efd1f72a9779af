"""Records: the one vocabulary of runs.

A machine event, a spec step label and a log record share one name, its *kind*. A log is a chain of records: each
carries the SHA-256 of the canonical form of the one before it, so a dropped, reordered or altered record shows. Values
(file contents, arguments, results) are not in the records: a record names them by a salted digest and they are kept
apart, so that redaction drops a value and keeps the chain.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

VERSION: Final = 1
"""Version of the record format, the field ``v`` of every record."""

GENESIS: Final = "0" * 64
"""The ``prev`` of the first record of a chain."""

KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "run-open": "a run begins: its mode, policy and the digests of all initial values",
        "launch": "an agent enters with the next rank",
        "infer": "an inference ended; body: when it began, tokens read and written, engine steps, digest of the text",
        "call": "a write call was accepted; body: tool, arguments, footprint, members (the closed set to undo)",
        "read": "a filtered read was served; body: objects, the writes it saw, their digests",
        "prepared": "what undo needs was captured, before the effect",
        "exec": "the effect is about to happen",
        "applied": "the effect happened; body: the digest left on each object written, seen on each object read",
        "failed": "the call had no effect and is withdrawn",
        "retract": "a live call is to be taken out, by its author or after an abort; body: members, as for call",
        "retracted": "the inverse of that call ran: it is out; body as for undone",
        "undo": "an inverse is about to run",
        "undone": "an inverse ran; the objects are back at what the call found",
        "redo": "an undone call is about to be re-applied",
        "redone": "an undone call was re-applied; body as for applied",
        "cancelled": "an undone call is withdrawn by policy; its author is notified",
        "stranded": "an undone call could not be re-applied and is withdrawn; its author is notified",
        "settle": "a call and the repair it opened are complete; stale premises are now known",
        "notify": "an agent is told that a premise or a result changed; body: premises, refreshed digests",
        "deliver": "the agent consumed its notifications",
        "bounce": "a call was refused because its author has unread notifications; nothing ran",
        "judge": "what the agent made of a notification: ignore, repair or retract, and how that is known",
        "finish": "the agent reported its task complete",
        "reopen": "a finished agent was told of a change and is at work again",
        "gate": "a non-invertible call is held until every lower rank has committed",
        "commit": "everything the agent did is final",
        "abort": "an agent gave up, or was given up; its calls are retracted next",
        "external": "a change that no tool made was seen on an object",
        "recover": "a run was continued after its runtime died",
        "close": "the run is complete; body: the final digest of every object",
    }
)
"""Every kind of record, with one line of meaning."""


class RecordError(ValueError):
    """A record that is not well formed: the message says which field and why."""


@attrs.frozen
class Record:
    """One entry of a run's log.

    ``v`` format version; ``run`` run id; ``seq`` position from 0, no gaps; ``t`` seconds since the run opened;
    ``agent`` rank of the acting agent or None; ``call`` call id ``"RANK.SEQ"`` or None; ``kind`` one of :data:`KINDS`;
    ``body`` JSON-able details; ``prev`` SHA-256 (hex) of the previous record's canonical form.
    """

    v: int
    run: str
    seq: int
    t: float
    agent: int | None
    call: str | None
    kind: str
    body: Mapping[str, Any]
    prev: str

    def __attrs_post_init__(self) -> None:
        if self.kind not in KINDS:
            raise RecordError(f"record {self.seq}: unknown kind {self.kind!r}; known: {', '.join(KINDS)}")
        if self.v != VERSION:
            raise RecordError(f"record {self.seq}: format version {self.v}, this program reads {VERSION}")


def canonical(record: Record) -> bytes:
    """The bytes that are hashed and stored: JSON with sorted keys, no spaces, UTF-8."""
    return json.dumps(
        attrs.asdict(record, recurse=False), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest(record: Record) -> str:
    """SHA-256 (hex) of the canonical form: the ``prev`` of the record that follows."""
    return hashlib.sha256(canonical(record)).hexdigest()


def parse(line: bytes | str, where: str = "record") -> Record:
    """Read one canonical record. Raises :class:`RecordError` naming ``where`` when it is malformed."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{where}: not JSON ({error})") from None
    if not isinstance(data, dict):
        raise RecordError(f"{where}: not a JSON object")
    names = {field.name for field in attrs.fields(Record)}
    if data.keys() != names:
        odd = sorted(names ^ data.keys())
        raise RecordError(f"{where}: missing or unknown field {', '.join(map(repr, odd))}")
    types: dict[str, tuple[type, ...]] = {
        "v": (int,),
        "run": (str,),
        "seq": (int,),
        "t": (int, float),
        "agent": (int, type(None)),
        "call": (str, type(None)),
        "kind": (str,),
        "body": (dict,),
        "prev": (str,),
    }
    for name, allowed in types.items():
        if not isinstance(data[name], allowed) or isinstance(data[name], bool):
            raise RecordError(f"{where}: field {name!r} has the wrong type ({type(data[name]).__name__})")
    record = Record(**data)
    try:
        canonical(record)
    except (ValueError, RecursionError) as error:  # NaN, infinity, half a surrogate pair: read, but never written
        raise RecordError(f"{where}: has no canonical form ({error})") from None
    return record


def value_digest(salt: bytes, value: bytes | None) -> str:
    """Salted SHA-256 (hex) of a value; ``None`` (the object is absent) is a value of its own.

    Equal values of one run have equal digests, which is what lets a reader be spared a notification when a write
    leaves the value it read.
    """
    tag = b"\x00" if value is None else b"\x01" + value
    return hashlib.sha256(salt + tag).hexdigest()
