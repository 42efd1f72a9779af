"""A few mutants of a spec, tried without the question that :func:`~mtpo.proofs.mutate.mutate` begins with, whether the
spec itself holds wherever any mutant is tried.

A mutant is caught by a run of small instances, or by one step of its own action. So what the spec itself must not fail
in is those runs, and the actions of the mutants that were chosen; of all others nothing is asked. And where the ledger
has it that every mutant was tried, for the sources as they are, that was asked then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from mtpo.proofs.children import Children, Interrupted, Lost, processes
from mtpo.proofs.exploration.instances import is_mtpo
from mtpo.proofs.ledger import Entry, read_ledger, stale
from mtpo.proofs.mutants.listed import reason_for
from mtpo.proofs.mutants.mutate import (
    EQUIVALENT,
    SIZES,
    Fate,
    Mutant,
    NotSound,
    _Found,
    _unsound_run,
    _unsound_step,
    mutants,
    try_mutant,
)
from mtpo.spec.language import Sort, Spec

TIMEOUT_MS = 5_000
"""Milliseconds for a question to z3, as of each mutant."""


def held_before(name: str, entries: Iterable[Entry] | None = None) -> bool:
    """Whether the ledger, by default that of the installed package, says of a built-in spec that all its mutants were
    tried with the sources as they are: then it was asked whether the spec itself holds, and it does."""
    ledger = read_ledger() if entries is None else entries
    found = [entry for entry in ledger if entry.property == f"{name}.mutants"]
    return bool(found) and not stale(found)


def mutate_chosen(
    spec: Spec,
    only: str,
    *,
    held: bool = False,
    equivalent: Mapping[str, str] = EQUIVALENT,
    size: int | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
    jobs: int | None = None,
    decided: Callable[[Fate], None] = lambda fate: None,
) -> list[Fate]:
    """As :func:`~mtpo.proofs.mutate.mutate`, of mutants whose id contains ``only``. Whether the spec itself holds is
    asked of what they need alone, and not at all where it is known to have ``held``.

    Raises :class:`~mtpo.proofs.mutants.mutate.NotSound` and :class:`~mtpo.proofs.children.Interrupted` as that does.
    """
    found = [mutant for mutant in mutants(spec) if only in mutant.id]
    sizes = SIZES["mtpo"] if is_mtpo(spec) else dict.fromkeys(spec.sorts, max(3, size or 0))
    count = processes() if jobs is None else jobs
    if found and not held:
        actions = list(dict.fromkeys(mutant.action for mutant in found))
        _check(spec, actions, sizes, lambda what: progress(0, len(found), what), size, count)
    fates: dict[int, Fate] = {}
    told = 0

    def serve() -> Callable[[int], _Found]:
        return lambda number: _Found.of(try_mutant(found[number], sizes, equivalent=equivalent, size=size))

    def begin(number: int) -> None:
        progress(len(fates), len(found), found[number].id)

    def fate(mutant: Mutant, answer: _Found | Lost) -> Fate:
        reason = reason_for(mutant, equivalent)
        return _unknown(mutant, reason, answer.why) if isinstance(answer, Lost) else answer.fate(mutant, reason)

    with Children(serve, count) as children:
        try:
            for number, answer in children.map(range(len(found)), begin):
                fates[number] = fate(found[number], answer)
                while told in fates:
                    decided(fates[told])
                    told += 1
            progress(len(found), len(found), "")
        except KeyboardInterrupt:
            why = f"interrupted after {len(fates)} of {len(found)} mutants"
            tried = [fates.get(n) or _unknown(m, reason_for(m, equivalent), why) for n, m in enumerate(found)]
            raise Interrupted(why, tried) from None
    return [fates[number] for number in range(len(found))]


def _unknown(mutant: Mutant, reason: str, why: str) -> Fate:
    return Fate(mutant, (), "", reason, 0.0, why=why)


def _check(
    spec: Spec,
    actions: Sequence[str],
    sizes: Mapping[type[Sort], int],
    tell: Callable[[str], None],
    size: int | None,
    jobs: int,
) -> None:
    """That the spec holds in the runs of small instances and in single steps of these actions."""
    questions = ["", *actions]

    def begin(number: int) -> None:
        tell(f"first whether the spec itself holds{f': {questions[number]}' if number else ''}")

    def serve() -> Callable[[str], str]:
        return lambda action: _unsound_step(spec, action, sizes, TIMEOUT_MS) if action else _unsound_run(spec, size)

    with Children(serve, jobs) as children:
        answers = dict(children.map(questions, begin))
    for number, found in sorted(answers.items()):
        if isinstance(found, Lost):
            at = f" at {questions[number]}" if number else ""
            raise NotSound(
                f"whether {spec.name} holds{at} is not known, so neither is what its mutants break: {found.why}"
            )
        if found:
            raise NotSound(found)
