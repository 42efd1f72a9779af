"""Replay of a log against the spec: every record is a step; its guard must hold, its outcome be the one logged.

The log fixes everything that the spec leaves open (:mod:`mtpo.proofs.replay.numbering`). The first record that is no
step of the spec is reported with the clause that refuses it, and with the reasons
(:mod:`mtpo.proofs.replay.unmatched`). What a record costs depends on what it touches, not on how long the log is.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import attrs

from mtpo.proofs.children import processes
from mtpo.proofs.replay import relay
from mtpo.proofs.replay.numbering import SLICED, Numbering
from mtpo.proofs.replay.stepping import Plain, Run, Sparse
from mtpo.spec.records import Record
from mtpo_core.problems import Problem

__all__ = ["MALFORMED", "REPLAY", "SLICED", "Progress", "Replay", "Run", "Sparse", "replay", "replay_to_the_fault"]

REPLAY: Final = "spec.replay"
"""The id of the replay among the checks."""

MALFORMED: Final = (KeyError, ValueError, IndexError, TypeError)
"""What is raised for a record that names what the log does not introduce."""


@attrs.frozen
class Replay:
    """The outcome: ``steps`` taken, in each of which all properties were evaluated, and ``problems``, at most those of
    one record.

    ``refused``: the place among the records of the one
    that is no step, None when each is; ``stopped`` that of the one whose problems these are.
    """

    steps: int
    problems: tuple[Problem, ...]
    refused: int | None = None
    stopped: int | None = None


@contextlib.contextmanager
def without_collection() -> Iterator[None]:
    """No search for garbage in cycles meanwhile: a long log is millions of objects, and replaying it makes no cycle."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


Progress = Callable[[int, int], None]
"""Told how many records were replayed, of how many."""


def replay(
    records: Sequence[Record],
    *,
    absent: str | None = None,
    beside: Sequence[Record] = (),
    plain: bool = False,
    jobs: int | None = None,
    progress: Progress = lambda done, total: None,
) -> Replay:
    """Replay the records of an ``mtpo`` run.

    ``absent``: the digest of the absent value, which every object has that ``run-open`` does not name. ``beside``:
    records that are not replayed and introduce what the others name (:mod:`mtpo.proofs.replay.readable`). ``plain``:
    with the plain interpretation, whose cost grows with the log. ``jobs``: how many processes share the work, by
    default one for a short log and else as many as there are cores, up to four (:mod:`mtpo.proofs.replay.relay`); the
    outcome is the same. Where there can be no others, one does it all. ``progress`` is told now and then, and on an
    interrupt, how many records are steps, with every property.

    Malformed bodies raise KeyError or ValueError: check the log first.
    """
    with without_collection():
        progress(0, len(records))
        return _replayed(records, Numbering([*records, *beside] if beside else records, absent), plain, jobs, progress)


def replay_to_the_fault(records: Sequence[Record], absent: str | None, beside: Sequence[Record] = ()) -> Replay:
    """The replay of records of which :func:`replay` says that one is malformed: that one is the problem, as
    ``spec.replay``, unless another is no step before it."""
    what = "names something that the log does not introduce"
    try:
        names = Numbering([*records, *beside], absent)
        run = Run(names, Sparse(names))
    except MALFORMED as error:
        return Replay(0, (Problem(REPLAY, "the log", f"{what}: {error}"),))
    for place, record in enumerate(records):
        try:
            run.take(record)
        except MALFORMED as error:
            run.problems.append(Problem(REPLAY, f"record {record.seq} ({record.kind})", f"{what}: {error}"))
        if run.problems:
            return _found(place, run.steps, run.problems, run.unmatched)
    return Replay(run.steps, ())


def _replayed(
    records: Sequence[Record], numbering: Numbering, plain: bool, jobs: int | None, progress: Progress
) -> Replay:
    """The replay by one process or several."""
    count = relay.jobs(len(records), numbering.compiled) if jobs is None else jobs
    if plain or count < 2 or not processes():
        return _alone(records, Run(numbering, Plain(numbering) if plain else Sparse(numbering)), progress)
    numbering.compile()
    try:
        relayed = relay.Relay(records, numbering, count)
    except OSError:
        return _alone(records, Run(numbering, Sparse(numbering)), progress)
    with relayed as others:
        return _shared(records, numbering, others, progress)


def _alone(records: Sequence[Record], run: Run, progress: Progress, place: int = 0) -> Replay:
    """The replay from a place on."""
    total = len(records)
    place = relay.go(records, run, place, lambda: total, lambda done: progress(done, total))
    return _found(place, run.steps, run.problems, run.unmatched)


def _found(place: int, steps: int, problems: Sequence[Problem], unmatched: bool) -> Replay:
    if not problems:
        return Replay(steps, ())
    return Replay(steps, tuple(problems), place if unmatched else None, place)


def _shared(records: Sequence[Record], numbering: Numbering, others: relay.Relay, progress: Progress) -> Replay:
    """The replay by several processes, of which this is the first."""
    total, board = len(records), others.board
    spec = Sparse(numbering)
    run = Run(numbering, spec)
    board.set_up(0)

    def reached(place: int) -> None:
        board.reached(0, place)
        progress(place, total)

    place = relay.go(records, run, 0, lambda: board.start(1), reached)
    if not run.problems and place < total:
        try:
            rest = others.rest(place, relay.digest_of(run, spec), lambda done: progress(max(place, done), total))
        except KeyboardInterrupt:
            progress(place, total)
            raise
        if rest is None:
            return _alone(records, run, progress, place)
        return _found(rest.place, rest.steps, rest.problems, rest.unmatched)
    return _found(place, run.steps, run.problems, run.unmatched)
