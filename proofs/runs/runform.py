"""The form of a run's log: which fields each kind of record has, and of what type (``docs/records.md``).

Written from the documented format alone, so that the checker shares no code with what wrote the log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from mtpo.spec.records import Record

Key = tuple[int, int]
"""A call: the rank of its author and its place among its author's calls, both from 0; the serial order of calls."""

_CALL: Final = re.compile(r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def key_of(text: str) -> Key:
    """A call id as a key: ``"1.4"`` is ``(1, 4)``."""
    rank, _, place = text.partition(".")
    return int(rank), int(place)


def name_of(key: Key) -> str:
    """A key as a call id."""
    return f"{key[0]}.{key[1]}"


@attrs.frozen
class Shape:
    """A type of JSON values: ``name`` as in an error message, ``fits`` the test."""

    name: str
    fits: Callable[[object], bool]


def _one_of(*words: str) -> Shape:
    return Shape(f"one of {', '.join(words)}", lambda x: isinstance(x, str) and x in words)


def _maybe(shape: Shape) -> Shape:
    return Shape(f"{shape.name}, or null", lambda x: x is None or shape.fits(x))


def _list(shape: Shape) -> Shape:
    return Shape(f"a list, each {shape.name}", lambda x: isinstance(x, list) and all(map(shape.fits, x)))


def _table(shape: Shape) -> Shape:
    return Shape(
        f"a table by object, each {shape.name}", lambda x: isinstance(x, dict) and all(map(shape.fits, x.values()))
    )


def _struct(**fields: Shape) -> Shape:
    name = "{" + ", ".join(f"{field}: {shape.name}" for field, shape in fields.items()) + "}"
    return Shape(
        name, lambda x: isinstance(x, dict) and all(f in x and shape.fits(x[f]) for f, shape in fields.items())
    )


_TEXT: Final = Shape("a text", lambda x: isinstance(x, str))
_FLAG: Final = Shape("true or false", lambda x: isinstance(x, bool))
_COUNT: Final = Shape("a number from 0", lambda x: isinstance(x, int) and not isinstance(x, bool) and x >= 0)
_SECONDS: Final = Shape("seconds", lambda x: isinstance(x, int | float) and not isinstance(x, bool))
_HASH: Final = Shape("a digest", lambda x: isinstance(x, str) and _DIGEST.fullmatch(x) is not None)
_ID: Final = Shape("a call id RANK.SEQ", lambda x: isinstance(x, str) and _CALL.fullmatch(x) is not None)
_NAMES: Final = _list(_TEXT)
_HASHES: Final = _table(_HASH)
_SAW: Final = _table(_struct(write=_maybe(_ID), digest=_HASH))
_RANGE: Final = Shape("[first, last]", lambda x: isinstance(x, list) and len(x) == 2 and all(map(_COUNT.fits, x)))
_PREMISE: Final = _struct(call=_ID, object=_TEXT, was=_HASH, now=_HASH, write=_maybe(_ID))
_RESULT: Final = _struct(call=_ID, status=_one_of("changed", "cancelled", "stranded"))
_NO_FIELDS: Final[Mapping[str, Shape]] = {}


@attrs.frozen
class Form:
    """The form of one kind: whether it names an agent and a call, the fields of its body, and those it may have."""

    agent: bool
    call: bool
    fields: Mapping[str, Shape] = _NO_FIELDS
    optional: Mapping[str, Shape] = _NO_FIELDS


FORMS: Final[Mapping[str, Form]] = {
    "run-open": Form(
        False,
        False,
        {
            "mode": _one_of("mtpo", "naive", "serial"),
            "policy": _one_of("replay", "cancel"),
            "scenario": _TEXT,
            "inference": _TEXT,
            "initial": _HASHES,
        },
    ),
    "launch": Form(True, False, {"name": _TEXT, "task": _TEXT}),
    "infer": Form(
        True,
        False,
        {"began": _SECONDS, "prompt_tokens": _COUNT, "new_tokens": _COUNT, "steps": _RANGE, "text": _maybe(_HASH)},
    ),
    "read": Form(True, True, {"tool": _TEXT, "args": _HASH, "saw": _SAW, "filtered": _FLAG, "result": _HASH}),
    "call": Form(
        True,
        True,
        {
            "tool": _TEXT,
            "args": _HASH,
            "reads": _NAMES,
            "writes": _NAMES,
            "class": _one_of("blind", "rmw"),
            "invertible": _FLAG,
            "members": _list(_ID),
        },
    ),
    "prepared": Form(True, True, {"undo": _HASH}),
    "exec": Form(True, True),
    "applied": Form(True, True, {"saw": _SAW, "out": _HASHES, "result": _HASH}),
    "failed": Form(True, True, {"error": _TEXT}, {"undeclared": _HASHES}),
    "retract": Form(True, True, {"members": _list(_ID)}),
    "retracted": Form(True, True, {"restored": _HASHES}),
    "undo": Form(True, True, {"by": _ID}),
    "undone": Form(True, True, {"by": _ID, "restored": _HASHES}),
    "redo": Form(True, True, {"by": _ID}),
    "redone": Form(True, True, {"by": _ID, "saw": _SAW, "out": _HASHES, "result": _HASH, "changed": _FLAG}),
    "cancelled": Form(True, True, {"by": _ID}),
    "stranded": Form(True, True, {"by": _ID, "error": _TEXT}, {"undeclared": _HASHES}),
    "settle": Form(True, True, {"stale": _list(_ID)}),
    "notify": Form(True, False, {"id": _COUNT, "by": _ID, "premises": _list(_PREMISE), "results": _list(_RESULT)}),
    "deliver": Form(True, False, {"ids": _list(_COUNT)}),
    "bounce": Form(True, False, {"tool": _TEXT, "args": _HASH, "ids": _list(_COUNT)}),
    "judge": Form(
        True,
        False,
        {
            "ids": _list(_COUNT),
            "verdict": _one_of("ignore", "repair", "retract"),
            "waiver": _maybe(_one_of("mechanical", "replayed", "trusted")),
        },
    ),
    "finish": Form(True, False),
    "reopen": Form(True, False),
    "commit": Form(True, False),
    "abort": Form(True, False),
    "gate": Form(True, True, {"waits_for": _list(_COUNT)}),
    "external": Form(False, False, {"object": _TEXT, "expected": _HASH, "found": _HASH}),
    "close": Form(False, False, {"final": _HASHES, "outcome": _one_of("complete", "halted"), "error": _maybe(_TEXT)}),
}
"""The form of every kind that the checker can judge; ``recover`` is not among them."""


def call_of(record: Record) -> Key | None:
    """The call that a record is of; None where it names none, or something else."""
    return key_of(record.call) if _ID.fits(record.call) else None  # type: ignore[arg-type]


def parts_of(record: Record) -> dict[str, Any]:
    """Of the body of a record, which may be damaged, the fields that its kind has and that are of their form."""
    form = FORMS.get(record.kind, Form(False, False))
    shapes = {**form.fields, **form.optional}
    return {field: x for field, x in record.body.items() if field in shapes and shapes[field].fits(x)}


def fault(record: Record) -> str | None:
    """What is wrong with the form of a record, in one line; None when it is well formed, or of a kind not judged."""
    form = FORMS.get(record.kind)
    if form is None:
        return None
    if form.agent != (record.agent is not None):
        return "names no agent" if form.agent else f"names an agent ({record.agent}) and should not"
    if record.agent is not None and record.agent < 0:
        return f"agent {record.agent} is no rank"
    if form.call != (record.call is not None):
        return "names no call" if form.call else f"names a call ({record.call}) and should not"
    if record.call is not None:
        if not _ID.fits(record.call):
            return f"call {record.call!r} is not of the form RANK.SEQ"
        if key_of(record.call)[0] != record.agent:
            return f"call {record.call} is not a call of agent {record.agent}"
    for field, shape in form.fields.items():
        if field not in record.body:
            return f"field {field!r} is missing"
        if not shape.fits(record.body[field]):
            return f"field {field!r} is not {shape.name}"
    for field, shape in form.optional.items():
        if field in record.body and not shape.fits(record.body[field]):
            return f"field {field!r} is not {shape.name}"
    return None
