"""A workload: conversations of turns, with their lengths, times and what their tokens share.

What a sequence consists of is told by *pieces*: a tag stands for some tokens and for everything before them, as the
hash of a prefix block does. Two sequences are equal as far as they have equal pieces.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import attrs

_positive = attrs.validators.ge(1)


class TraceError(ValueError):
    """A workload that can't be read or made; one line: file and line, what is wrong, what was expected."""


def counted(count: int, what: str) -> str:
    """``1 turn``, ``1,024 turns``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def moment(seconds: float) -> str:
    """A time of a run as one says it, to the tenth of a second: ``12.5 s``, ``33 min 21.2 s``, ``1 h 0 min 3 s``; below
    a second to the millisecond."""
    if seconds < 1.0:
        return f"{round(seconds, 3):g} s"
    tenths = round(10 * seconds)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours:,} h"] if hours else []
    parts += [f"{minutes} min"] if hours or minutes else []
    return " ".join([*parts, f"{rest / 10:g} s"])


def plain(text: str) -> str:
    """The text of a number. ValueError for one that Python takes and other readers don't: ``1_0``, digits not 0-9."""
    if not text.isascii() or "_" in text:
        raise ValueError("not written in plain digits")
    return text


@attrs.frozen
class Piece:
    """``tokens`` of a sequence whose content, with all before them, the ``tag`` stands for."""

    tag: int
    tokens: int = attrs.field(validator=_positive)


@attrs.frozen
class Turn:
    """One request to the model.

    ``prompt``: tokens of the whole sequence that is sent, history included, at least 1. ``output``: tokens that it
    generates, at least 1. ``gap``: seconds (tools, thinking) between the end of the turn before and this one.
    ``content``: what prompt and output consist of, from the start; tokens past its end are shared with nobody.
    ``line``: where the file of the trace has it, 0 where there is none.
    """

    prompt: int = attrs.field(validator=_positive)
    output: int = attrs.field(validator=_positive)
    gap: float = attrs.field(default=0.0, validator=attrs.validators.ge(0))
    content: tuple[Piece, ...] = ()
    line: int = attrs.field(default=0, eq=False)


@attrs.frozen
class Conversation:
    """Turns, one after the other. ``arrival`` in seconds since the beginning of the workload."""

    name: str
    arrival: float
    turns: tuple[Turn, ...] = attrs.field(validator=attrs.validators.min_len(1))

    @property
    def peak(self) -> int:
        """The most tokens that it has in its sequence at once."""
        return max(turn.prompt + turn.output for turn in self.turns)


@attrs.frozen
class Workload:
    """Conversations in order of arrival. ``timed``: the arrivals were observed or drawn, not just set to 0.

    ``notes`` say, a line each, what a reader left out, filled in or put in order. ``source``: the file that it was read
    from, empty for none.
    """

    name: str
    conversations: tuple[Conversation, ...]
    timed: bool = True
    notes: tuple[str, ...] = ()
    source: str = attrs.field(default="", eq=False)

    @property
    def requests(self) -> int:
        """How many turns there are in all."""
        return sum(len(one.turns) for one in self.conversations)

    @property
    def rate(self) -> float:
        """Conversations per second between the first arrival and the last; 0 when they are not apart."""
        if len(self.conversations) < 2:
            return 0.0
        span = self.conversations[-1].arrival - self.conversations[0].arrival
        return (len(self.conversations) - 1) / span if span > 0 else 0.0

    def at_rate(self, rate: float, seed: int = 0) -> Workload:
        """The same conversations at another mean rate (1/s): observed arrivals are stretched, which keeps their
        burstiness; otherwise they are drawn from a Poisson process."""
        if not 0 < rate < math.inf:
            raise TraceError(f"{self.name}: a rate of conversations must be a number above 0, got {rate:g}")
        if self.timed and self.rate > 0:
            factor, first = self.rate / rate, self.conversations[0].arrival
            times = [(one.arrival - first) * factor for one in self.conversations]
        else:
            draw = random.Random(seed)
            times, now = [], 0.0
            for _ in self.conversations:
                now += draw.expovariate(rate)
                times.append(now)
        finite(times, f"{self.name} at {rate:g} conversations/s")
        moved = (attrs.evolve(one, arrival=time) for one, time in zip(self.conversations, times, strict=True))
        return attrs.evolve(self, conversations=tuple(moved), timed=True)

    def first(self, conversations: int | None = None, turns: int | None = None) -> Workload:
        """At most so many conversations, and at most so many turns of each."""
        kept: Sequence[Conversation] = self.conversations[:conversations]
        if turns is not None:
            kept = [attrs.evolve(one, turns=one.turns[:turns]) for one in kept]
        return attrs.evolve(self, conversations=tuple(kept))


def finite(times: Sequence[float], what: str) -> None:
    """Raises :class:`TraceError` where a time of arrival is beyond the numbers."""
    if not all(map(math.isfinite, times)):
        raise TraceError(f"{what}: arrivals can't be told as numbers of seconds; the rate is too far from theirs")


def linear(tag: int, lengths: Sequence[tuple[int, int, float]], system: Piece | None = None) -> tuple[Turn, ...]:
    """The turns of a conversation that only ever appends.

    Each of ``lengths``: tokens appended to the sequence, tokens generated, seconds before. ``system``: a piece at the
    beginning that others may share; it is part of what the first turn appends.
    """
    turns, total = [], 0
    for appended, output, gap in lengths:
        prompt = total + appended
        total = prompt + output
        head = () if system is None else (system,)
        own = total - (0 if system is None else system.tokens)
        if own < 1:
            raise TraceError(f"a system prompt of {system.tokens if system else 0} tokens leaves no room in {total}")
        turns.append(Turn(prompt, output, gap, (*head, Piece(tag, own))))
    return tuple(turns)
