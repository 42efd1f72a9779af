"""The picture of a run as data: what a page draws, and nothing about how.

One :class:`Timeline` describes a run on an axis of seconds or a counterexample of a spec on an axis of steps. What can
be pointed at (a span, a mark, an arrow) has an ``id`` unique in its timeline and :class:`Field` details, so that links
between items are plain ids.
"""

from __future__ import annotations

from typing import Final, Literal

import attrs

Tone = Literal["good", "plain", "warn", "bad"]
TONES: Final[tuple[Tone, ...]] = ("good", "plain", "warn", "bad")
"""The worst last; the page ranks them so as well."""
Unit = Literal["s", "step"]
SpanKind = Literal["infer", "tool", "held"]
MarkKind = Literal[
    "read", "write", "failed", "bounce", "told", "undone", "redone", "cancelled", "stranded", "retracted", "finish",
    "reopen", "commit", "abort", "external", "recover", "step",
]  # fmt: skip
ArrowKind = Literal["notify", "undo", "redo", "conflict"]
DiffOp = Literal[" ", "-", "+", "…"]


class ViewError(ValueError):
    """A picture that cannot be drawn: one line that says what is missing or malformed."""


@attrs.frozen
class DiffLine:
    """One line of a difference: kept (space), removed, added, or ``…`` for lines that are not shown."""

    op: DiffOp
    text: str


@attrs.frozen
class Link:
    """A pointer to another item of the same timeline."""

    target: str
    text: str


@attrs.frozen
class Field:
    """One labelled detail of an item: a sentence, a block of text, a difference, or links."""

    label: str
    text: str = ""
    code: bool = False
    diff: tuple[DiffLine, ...] = ()
    links: tuple[Link, ...] = ()


@attrs.frozen
class Lane:
    """A row of the picture. ``rank`` orders the lanes, 0 on top; ``state`` is where its agent ended."""

    rank: int
    name: str
    task: str = ""
    state: str = ""


@attrs.frozen
class Span:
    """Something that lasted, from ``start`` to ``end`` on the timeline's axis.

    ``serial`` is its place in the equivalent serial schedule, None when it has none. ``of`` names the mark that it
    belongs to.
    """

    id: str
    lane: int
    kind: SpanKind
    start: float
    end: float
    label: str
    fields: tuple[Field, ...] = ()
    serial: tuple[float, float] | None = None
    of: str | None = None


@attrs.frozen
class Mark:
    """Something that happened at a point. ``struck`` shows it crossed out: its effect did not stay as it was."""

    id: str
    lane: int
    kind: MarkKind
    at: float
    label: str
    title: str
    fields: tuple[Field, ...] = ()
    struck: bool = False
    serial: float | None = None


@attrs.frozen
class Arrow:
    """A connection between two points; ``source`` and ``target`` name the marks at its ends, where there are any.

    ``open`` is an arrow that never arrived: a notification nobody consumed.
    """

    id: str
    kind: ArrowKind
    source_lane: int
    source_at: float
    target_lane: int
    target_at: float
    label: str
    title: str
    fields: tuple[Field, ...] = ()
    source: str | None = None
    target: str | None = None
    open: bool = False


@attrs.frozen
class Entry:
    """One write of a trajectory: who, what value it leaves, how that differs from the value below it."""

    mark: str | None
    lane: int | None
    label: str
    status: str
    value: str
    diff: tuple[DiffLine, ...] = ()
    struck: bool = False


@attrs.frozen
class Trajectory:
    """T(o): the writes on one object in serial order, above its initial value. ``order`` says which order it is."""

    object: str
    initial: str
    entries: tuple[Entry, ...]
    final: str | None = None
    order: str = "in rank order"
    agrees: bool | None = None


@attrs.frozen
class Verdict:
    """One sentence on the whole, its tone, and sentences that support it."""

    tone: Tone
    sentence: str
    reasons: tuple[str, ...] = ()


@attrs.frozen
class Fact:
    """One figure of a run. ``number`` (where it makes sense) lets runs be compared by the length of a bar."""

    label: str
    value: str
    tone: Tone = "plain"
    number: float | None = None


@attrs.frozen
class StateRow:
    """One cell of a state, through the states of a counterexample: a value for each, or one if it never changes.

    ``changed`` the states that the step before them changed it in, ``read`` those where the false formula reads it.
    """

    name: str
    values: tuple[str, ...]
    doc: str = ""
    changed: tuple[int, ...] = ()
    read: tuple[int, ...] = ()


@attrs.frozen
class StateTable:
    """The states of a counterexample, one a column; ``constants``, and ``still``, the variables that no step changes.
    ``labels`` are short heads of the columns, where there is room for no more.

    ``marks`` are the marks of the steps that led to the states, None for the first; ``false_in`` the states (two for a
    step) of which the property is false.
    """

    columns: tuple[str, ...]
    marks: tuple[str | None, ...]
    rows: tuple[StateRow, ...]
    constants: tuple[StateRow, ...] = ()
    still: tuple[StateRow, ...] = ()
    false_in: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()


@attrs.frozen
class Timeline:
    """A run or a counterexample, ready to be drawn.

    ``case`` groups timelines that show one scenario under several modes; ``end`` and ``serial_end`` are the lengths of
    the real and of the serial axis in ``unit``; ``notes`` are remarks on the picture itself,
    ``left_out`` what a page had no room for. ``states`` are those of a counterexample; ``lanes_are`` says what the
    lanes stand for, if not for agents by rank.
    """

    case: str
    mode: str
    lanes: tuple[Lane, ...]
    spans: tuple[Span, ...]
    marks: tuple[Mark, ...]
    arrows: tuple[Arrow, ...]
    trajectories: tuple[Trajectory, ...]
    verdict: Verdict
    facts: tuple[Fact, ...] = ()
    unit: Unit = "s"
    end: float = 0.0
    serial_end: float | None = None
    notes: tuple[str, ...] = ()
    left_out: str = ""
    states: StateTable | None = None
    lanes_are: str = ""
