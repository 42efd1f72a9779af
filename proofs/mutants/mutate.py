"""Mutants: each rule weakened in each way (``alterations``) must be caught by a named property.

A mutant is first explored: small instances, shortest traces, real runs. If none breaks a property, z3 is asked on small
finite domains for a state that satisfies every property and a step of the mutated action that breaks one. That a lemma
breaks does not count by itself: a lemma serves the proof (:mod:`mtpo.proofs.mutants.catching`). Survivors are either
equivalent, or caught by a lemma alone, and listed here with the reason, or a hole in the properties.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import attrs

from mtpo.proofs.children import Children, Interrupted, Lost, processes
from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import Roots, is_mtpo, mtpo_instance, sizes_for, small_instance
from mtpo.proofs.induction.refuting import broken_by
from mtpo.proofs.mutants.alterations import alterations
from mtpo.proofs.mutants.breaking import all_broken
from mtpo.proofs.mutants.cases import Planned, case_instance
from mtpo.proofs.mutants.catching import Bounds, catch, lemmas_of
from mtpo.proofs.mutants.hidden import HIDDEN
from mtpo.proofs.mutants.listed import reason_for
from mtpo.proofs.verdicts import Picture, Status, Trace
from mtpo.spec.concrete import Instance
from mtpo.spec.language import Sort, Spec
from mtpo.spec.mtpo import Agent, Call, Object, Value

EQUIVALENT: Mapping[str, str] = {
    **HIDDEN,
    "mtpo.read.not-the-origin@55e5923d": "the origin writes every object, so `writes-nothing` already excludes it",
    "mtpo.reopen.notified~0@56f1da0c": "nobody is told of the origin, and nobody reasons from it",
    "mtpo.abort.note:=~0@dc9a07bd": "nobody is told of the origin, and nobody reasons from it",
    "mtpo.abort.void:=~0@d3b07d4b": "the origin never fails",
    "mtpo.redone.note:=~7@b9d7a76d": "what is pending has not failed",
    "mtpo.deliver.void:=~0@f9d44d82": "the origin never fails",
    "mtpo.abort.sighted:=~2@c6f5129c": "nobody is told of the origin, and nobody reasons from it",
    "mtpo.deliver.notified~0@56f1da0c": "nobody is told of the origin, and nobody reasons from it",
    "mtpo.deliver.settled~0@fbb273ed": "who is told of a call has seen what it read",
    "mtpo.deliver.note:=~0@dc9a07bd": "nobody is told of the origin, and nobody reasons from it",
    "mtpo.deliver.saw:=~0@2a2e4a4d": "nobody is told of the origin, and nobody reasons from it",
    "mtpo.deliver.saw:=~3@c2909b5e": "what is not yet reasoned from gets its source and what it saw when it is",
    "mtpo.commit.retracted~0@80aeb520": (
        "another agent makes a later call without an inverse only after this one has committed"
    ),
    "mtpo.commit.retracted~1@5b0921b9": (
        "another agent makes a later call without an inverse only after this one has committed"
    ),
    "mtpo.commit.retracted~3@78386ab1": (
        "another agent makes a later call without an inverse only after this one has committed"
    ),
    "mtpo.commit.one-at-a-time~1@4f161a08": (
        "undone for a call of its author or a lower one, whose repair commit waits for"
    ),
    "mtpo.read.source:=~1@822f7c2f": "the source and the value seen of what a call does not read are asked for nowhere",
    "mtpo.read.saw:=~1@6ffa0c7f": "the source and the value seen of what a call does not read are asked for nowhere",
    "mtpo.call.members-free~1@e06b71d1": "what another repair undoes touches what that repair has locked",
    "mtpo.retract.members-free~1@e06b71d1": "what another repair undoes touches what that repair has locked",
    "mtpo.undone.source:=~0@921ab1c8": (
        "the source and the value seen of what a call does not read are asked for nowhere"
    ),
    "mtpo.retracted.source:=~0@921ab1c8": (
        "the source and the value seen of what a call does not read are asked for nowhere"
    ),
    "mtpo.applied.base:=~1@9a2fad15": "the base and the value of what a call does not write are asked for nowhere",
    "mtpo.applied.value:=~1@9d9c68b7": "the base and the value of what a call does not write are asked for nowhere",
    "mtpo.applied.saw:=~1@874a5783": "the source and the value seen of what a call does not read are asked for nowhere",
    "mtpo.applied.source:=~1@65caa3e8": (
        "the source and the value seen of what a call does not read are asked for nowhere"
    ),
    "mtpo.applied.source:=~2@797ac2d5": "what is not yet reasoned from gets its source and what it saw when it is",
    "mtpo.applied.source:=~5@012fbc62": "what was live above it on its objects is undone, so no source lies between",
    "mtpo.failed.source:=~1@6d2b86f4": (
        "the source and the value seen of what a call does not read are asked for nowhere"
    ),
    "mtpo.failed.saw:=~1@874a5783": "the source and the value seen of what a call does not read are asked for nowhere",
    "mtpo.redone.base:=~1@9a2fad15": "the base and the value of what a call does not write are asked for nowhere",
    "mtpo.redone.value:=~1@9d9c68b7": "the base and the value of what a call does not write are asked for nowhere",
    "mtpo.redone.saw:=~1@874a5783": "the source and the value seen of what a call does not read are asked for nowhere",
    "mtpo.redone.source:=~1@65caa3e8": (
        "the source and the value seen of what a call does not read are asked for nowhere"
    ),
    "mtpo.redone.source:=~2@797ac2d5": "what is not yet reasoned from gets its source and what it saw when it is",
    "mtpo.redone.source:=~11@78020b18": (
        "what is undone is still reasoned from, and its source kept up: it is the top of the object when it is redone"
    ),
    "mtpo.redone.source:=~5@012fbc62": "what was live above it on its objects is undone, so no source lies between",
    "mtpo.settle.note:=~1@704936c3": "what an aborted agent still reasons from is in place, and its premises are exact",
    "mtpo.cancelled.policy@09090e9a": (
        "withdrawing is one step whatever the policy: under replay it is that of `stranded`"
    ),
    "mtpo.finish.at-work/0@f3f6d7f3": (
        "hidden from all but a lemma because who has not been launched has no call: it reports that it did nothing"
    ),
    "mtpo.abort.not-over/0@19282d53": (
        "hidden from all but a lemma because who has not been launched has no call: there is nothing to take out"
    ),
    "mtpo.abort.sighted:=~0@6d58ebaa": (
        "hidden from all but a lemma because what a live call read changes below it only in a repair that has undone "
        "it, and an undone call of an aborted agent is withdrawn"
    ),
    "mtpo.abort.sighted:=~1@e935f7bc": (
        "hidden from all but a lemma because an undone call of an aborted agent is withdrawn, whatever it read"
    ),
    "mtpo.abort.sighted:=~4@bcd366e6": (
        "hidden from all but a lemma because what a live call read changes below it only in a repair that has undone "
        "it, and an undone call of an aborted agent is withdrawn"
    ),
    "mtpo.read.one-at-a-time@6a3ba346": (
        "hidden from all but a lemma because a repair of the author's own that is open keeps from it what it has "
        "locked, so it reads what it would have read before or after"
    ),
    "mtpo.read.one-at-a-time~0@f1701f99": (
        "hidden from all but a lemma because a repair of the author's own that is open keeps from it what it has "
        "locked, so it reads what it would have read before or after"
    ),
    "kv.begin.idle@05c16789": "beginning again changes nothing",
    "kv.fill.not-full@cf15a0d7": "filling a full block again changes nothing",
    "kv.complete.in-flight@8f9879b6": "completing what is not in flight changes nothing",
    "kv.publish.new@cceb986d": "publishing again changes nothing",
    "kv.release.last/0@68cccdce": (
        "releasing a block that is not owned changes nothing: it is free, cached or another's already"
    ),
    "kv.release.free:=~2@365e40ae": "a block that others own too is published, and stays so until nobody owns it",
    "kv.release.free:=~3@1011df12": "a block that others own too is published, and stays so until nobody owns it",
    "kv.release.computed:=~2@64c3bf50": "a block that others own too is published, and stays so until nobody owns it",
    "kv.release.computed:=~3@8eb32cc9": "a block that others own too is published, and stays so until nobody owns it",
    "kv.release.computed:=~5@65899685": "what others own too, or is published, is computed",
    "kv.evict.published@7f6185b6": "an unowned block that is not cached is free already",
}
"""Mutants of mtpo and kv that change nothing that the properties speak of, with the reason, by id and digest (see
:mod:`mtpo.proofs.mutants.listed`), those that a lemma tells among them, as of other specs
(:mod:`mtpo.proofs.mutants.hidden`); else these list theirs where they are declared."""

EXPLORED = 60_000
"""States after which the exploration of a mutant gives up."""

FURTHER = 40_000
"""States of each case after which runs are looked at no further."""

CASES: tuple[tuple[tuple[Planned, ...], tuple[str, ...]], ...] = (
    ((Planned(0, "", "x"), Planned(0, "x", "")), ("external",)),
    ((Planned(0, "", "x"), Planned(0, "x", ""), Planned(0, "", "y", invertible=False)), ("abort", "external")),
    ((Planned(0, "", "x"), Planned(1, "", "")), ("abort", "external")),
    ((Planned(0, "", "x"), Planned(1, "", "x"), Planned(2, "", "x")), ("abort", "external", "retract", "retracted")),
    ((Planned(0, "", "x"), Planned(1, "", "xy"), Planned(2, "y", "")), ("abort", "external")),
    ((Planned(0, "", "x"), Planned(1, "y", "x"), Planned(2, "", "y")), ("abort", "external")),
)
"""Where runs of mtpo are looked at if in its small instances only lemmas break, with the actions that are left out:
more calls of one agent, a call that touches nothing, and three agents."""

SIZES: Mapping[str, Mapping[type[Sort], int]] = {"mtpo": {Agent: 3, Call: 5, Object: 2, Value: 2}}


class NotSound(ValueError):
    """The spec whose mutants are wanted is violated itself; the message names the properties."""


@attrs.frozen
class Mutant:
    """A spec with one rule weakened. ``id`` is that of the clause, or ``SPEC.ACTION.VARIABLE:=`` for an update; with
    ``digest``, of what the rule says before and after, it is named in a list of mutants that change nothing."""

    id: str
    digest: str
    action: str
    what: str
    spec: Spec = attrs.field(eq=False, repr=False)


@attrs.frozen
class Fate:
    """What became of a mutant: the properties that caught it and how, or the reason why it is equivalent."""

    mutant: Mutant
    killed_by: tuple[str, ...]
    """All that is broken where something first breaks, lemmas last."""

    how: str
    reason: str
    seconds: float
    trace: Trace | None = attrs.field(default=None, repr=False)
    why: str = ""
    """Why nothing is known of it, when the process that tried it was lost."""

    @property
    def told_by(self) -> tuple[str, ...]:
        """What caught it that is no lemma: a property that says something of the system."""
        lemmas = lemmas_of(self.mutant.spec)
        return tuple(id for id in self.killed_by if id not in lemmas)

    @property
    def by_lemma_alone(self) -> bool:
        """Lemmas break and nothing else, and it is listed why nothing else tells."""
        return bool(self.killed_by and self.reason) and not self.told_by

    @property
    def survived(self) -> bool:
        """Caught by no property, and not listed with a reason."""
        return not self.told_by and not self.reason and not self.why

    @property
    def mislisted(self) -> bool:
        """Listed as one that no property tells, and caught by one all the same."""
        return bool(self.told_by and self.reason)

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "mutant": self.mutant.id,
            "digest": self.mutant.digest,
            "dropped": self.mutant.what,
            "killed_by": list(self.killed_by),
            "how": self.how or None,
            "equivalent": (not self.killed_by and self.reason) or None,
            "by_a_lemma_alone": (self.by_lemma_alone and self.reason) or None,
            "mislisted": self.mislisted,
            "unknown": self.why or None,
            "seconds": round(self.seconds, 3),
        }


def mutants(spec: Spec) -> Iterator[Mutant]:
    """Every rule of the spec weakened, one at a time: see :mod:`mtpo.proofs.mutants.alterations`."""
    for action in spec.actions.values():
        for found in alterations(spec, action):
            changed = spec.without(actions={**spec.actions, action.name: found.action})
            yield Mutant(found.id, found.digest, action.name, found.what, changed)


def try_mutant(
    mutant: Mutant,
    sizes: Mapping[type[Sort], int],
    timeout_ms: int = 5_000,
    equivalent: Mapping[str, str] = EQUIVALENT,
    size: int | None = None,
) -> Fate:
    """Look for what the mutated action breaks: by exploring, then by asking z3 for one step."""
    start, reason = time.perf_counter(), reason_for(mutant, equivalent)
    bounds = Bounds(
        lambda spec: _small_instances(spec, size), EXPLORED, _cases, FURTHER, (sizes, *_wider(mutant.spec)), timeout_ms
    )
    found = catch(mutant.spec, mutant.action, bounds)
    return Fate(mutant, found.by, found.how, reason, time.perf_counter() - start, found.trace)


def _wider(spec: Spec) -> Iterator[Mapping[type[Sort], int]]:
    """Four of one sort and two of each other: some mistakes need one that stays, one that goes and two that wait. Of an
    ordered sort five, and one of each other: a first, one at work, and three that lie in some order above it."""
    if not is_mtpo(spec):
        yield from ({s: 4 if s is sort else 2 for s in spec.sorts} for sort in spec.sorts if not sort.ordered)
        yield from ({s: 5 if s is sort else 1 for s in spec.sorts} for sort in spec.sorts if sort.ordered)


def check_sound(
    spec: Spec,
    actions: Iterable[str],
    sizes: Mapping[type[Sort], int],
    tell: Callable[[str], None] = lambda what: None,
    timeout_ms: int = 5_000,
    size: int | None = None,
    jobs: int | None = None,
) -> None:
    """That the spec itself holds where mutants of some actions are tried. Raises :class:`NotSound`."""
    questions = ["", *dict.fromkeys(actions)]

    def begin(number: int) -> None:
        tell(f"first whether the spec itself holds{f': {questions[number]}' if number else ''}")

    def serve() -> Callable[[str], str]:
        return lambda action: _unsound_step(spec, action, sizes, timeout_ms) if action else _unsound_run(spec, size)

    with Children(serve, processes() if jobs is None else jobs) as children:
        answers = dict(children.map(questions, begin))
    for number, found in sorted(answers.items()):
        if isinstance(found, Lost):
            at = f" at {questions[number]}" if number else ""
            raise NotSound(
                f"whether {spec.name} holds{at} is not known, so neither is what its mutants break: {found.why}"
            )
        if found:
            raise NotSound(found)


def _unsound_run(spec: Spec, size: int | None) -> str:
    """What is wrong with a spec that small instances show; nothing, if nothing is."""
    for instance, initial in _small_instances(spec, size):
        failed = [v for v in explore(instance, initial, limit=EXPLORED).verdicts if v.status is Status.FAILED]
        if failed:
            what = ", ".join(f"{v.property} ({v.method})" for v in failed)
            do = "`mtpo explore` shows how; mend it before its mutants"
            if all(v.method != "exhaustive" for v in failed):
                do = f"with {_of_each(sizes_for(spec, size))}; if that is too few, give --size"
            return f"{spec.name} fails as it stands: {what}; {do}"
    looked = [(EXPLORED, _small_instances(spec, size)), (FURTHER, _cases(spec))]
    for limit, (instance, initial) in ((limit, each) for limit, instances in looked for each in instances):
        broken, _, _ = all_broken(instance, initial, limit, supporting=True)
        if broken:
            what = ", ".join(broken)
            return f"{spec.name} fails as it stands: {what}; `mtpo prove` shows how; mend it before its mutants"
    return ""


def _unsound_step(spec: Spec, action: str, sizes: Mapping[type[Sort], int], timeout_ms: int) -> str:
    """What is wrong with a spec that a step of an action shows; nothing, if nothing is."""
    for each in (sizes, *_wider(spec)):
        broken, _ = broken_by(spec, action, each, timeout_ms)
        if broken:
            what = f"{spec.name} is not inductive as it stands: {', '.join(broken)} at {action}"
            return f"{what}, with {_of_each(each)}; `mtpo prove` shows how; mend it before its mutants"
    return ""


def _of_each(sizes: Mapping[type[Sort], int]) -> str:
    """How many elements there are, in words."""
    if len(set(sizes.values())) == 1:
        return f"{next(iter(sizes.values()))} elements of each sort"
    return ", ".join(f"{sort.__name__}={n}" for sort, n in sizes.items())


def _small_instances(spec: Spec, size: int | None) -> Iterator[tuple[Instance, Roots]]:
    if is_mtpo(spec):
        yield mtpo_instance(2, 1, 1, spec=spec, faults=True)
        yield mtpo_instance(2, 1, 2, spec=spec)
    else:
        yield small_instance(spec, sizes_for(spec, size))


def _cases(spec: Spec) -> Iterator[tuple[Instance, Roots]]:
    if is_mtpo(spec):
        yield from (case_instance(spec, case, left_out) for case, left_out in CASES)


def mutate(
    spec: Spec,
    sizes: Mapping[type[Sort], int] | None = None,
    only: str = "",
    equivalent: Mapping[str, str] = EQUIVALENT,
    size: int | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
    jobs: int | None = None,
    decided: Callable[[Fate], None] = lambda fate: None,
    held: bool = False,
) -> list[Fate]:
    """Try every mutant of a spec whose id contains ``only``; ``size`` elements of each sort (by default the least that
    will do) are explored. ``jobs`` mutants at a time, in child processes (default: one a core; 0: in this one).
    ``decided`` is called with each fate, in order, as soon as it and those before it are known. Of the spec itself it
    is asked first whether it holds, in small instances and in single steps of the actions that are weakened, unless it
    is known to have ``held``.

    Raises :class:`NotSound` for a spec that is violated as it stands: any mutant of it would be killed for that;
    :class:`~mtpo.proofs.children.Interrupted` on Ctrl-C, with what is known so far.
    """
    found = [mutant for mutant in mutants(spec) if only in mutant.id]
    sizes = sizes or (SIZES["mtpo"] if is_mtpo(spec) else dict.fromkeys(spec.sorts, max(3, size or 0)))
    if found and not held:
        asked = [mutant.action for mutant in found] if only else spec.actions
        check_sound(spec, asked, sizes, lambda what: progress(0, len(found), what), size=size, jobs=jobs)
    fates: dict[int, Fate] = {}
    told = 0

    def serve() -> Callable[[int], _Found]:
        return lambda number: _Found.of(try_mutant(found[number], sizes, equivalent=equivalent, size=size))

    def begin(number: int) -> None:
        progress(len(fates), len(found), found[number].id)

    def lost(mutant: Mutant, why: str) -> Fate:
        return Fate(mutant, (), "", reason_for(mutant, equivalent), 0.0, why=why)

    with Children(serve, processes() if jobs is None else jobs) as children:
        try:
            for number, answer in children.map(range(len(found)), begin):
                mutant = found[number]
                fates[number] = (
                    lost(mutant, answer.why)
                    if isinstance(answer, Lost)
                    else answer.fate(mutant, reason_for(mutant, equivalent))
                )
                while told in fates:
                    decided(fates[told])
                    told += 1
            progress(len(found), len(found), "")
        except KeyboardInterrupt:
            why = f"interrupted after {len(fates)} of {len(found)} mutants"
            tried = [fates.get(n) or lost(mutant, why) for n, mutant in enumerate(found)]
            raise Interrupted(why, tried) from None
    return [fates[number] for number in range(len(found))]


@attrs.frozen
class _Found:
    """What a child says of a mutant."""

    killed_by: tuple[str, ...]
    how: str
    seconds: float
    picture: Picture | None

    @classmethod
    def of(cls, fate: Fate) -> _Found:
        return cls(fate.killed_by, fate.how, fate.seconds, Picture.of(fate.trace) if fate.trace else None)

    def fate(self, mutant: Mutant, reason: str) -> Fate:
        trace = self.picture.trace(mutant.spec) if self.picture else None
        return Fate(mutant, self.killed_by, self.how, reason, self.seconds, trace)
