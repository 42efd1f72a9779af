"""Ablation: which properties break when a published rule of the protocol goes, each with a shortest run.

A mutant asks whether anything notices; an ablation asks what a rule is for. Those of other specs, clause by clause, are
in :mod:`mtpo.proofs.dropped`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from mtpo.proofs.breaking import all_broken, why_broken
from mtpo.proofs.inductive import prove
from mtpo.proofs.instances import mtpo_instance, without_faults
from mtpo.proofs.verdicts import Status, Trace
from mtpo.spec.concrete import Instance, State, Step
from mtpo.spec.language import Action, Sort, Spec
from mtpo.spec.mtpo import Agent, Call, Object, Value, mtpo
from mtpo.spec.revisions import two_way

LIMIT = 400_000
"""States that are looked at for each rule."""


@attrs.frozen
class Rule:
    """A rule of the protocol: what it says, where, and the clauses and updates (``:=``) that carry it.

    ``case``: footprints (reads, writes) of one call for each agent, where every footprint of two agents is too little.
    """

    id: str
    english: str
    source: str
    carried_by: tuple[str, ...]
    case: tuple[tuple[str, str], ...] = ()


_ONE_OBJECT = (("", "x"),) * 3

RULES: tuple[Rule, ...] = (
    Rule("filtered-read", "a read gets the greatest write below it", "SCCP 3, wr", ("read.is-greatest",)),
    Rule("screened", "higher-ranked writes are screened out of a read", "SCCP 3, wr", ("read.is-below",)),
    Rule("undo", "a late write undoes the later ones that conflict with it", "SCCP 3, ww", ("call.seeds",)),
    Rule(
        "closure",
        "what depends on an undone write is undone too",
        "ours, F1",
        ("call.closed",),
        (("", "x"), ("", "xy"), ("", "y")),
    ),
    Rule("top-first", "writes are undone from the top", "SCCP 3, ww", ("undone.top-only",), _ONE_OBJECT),
    Rule(
        "redo-order",
        "undone writes are re-applied in serial order",
        "CoAgent 3, replay",
        ("redone.ascending",),
        _ONE_OBJECT,
    ),
    Rule("redo-told", "a redo that changed something tells its author", "ours, F2", ("redone.note:=",)),
    Rule("cancel-told", "a withdrawn write tells its author", "SCCP 3, ww", ("cancelled.note:=", "stranded.note:=")),
    Rule("notify", "a reader whose premise changed is told", "SCCP 3, rw", ("settle.note:=",)),
    Rule(
        "consume",
        "notifications are consumed before the next action",
        "SCCP 3, rw",
        ("read.inbox-empty", "call.inbox-empty", "finish.inbox-empty"),
    ),
    Rule("refresh", "a notification refreshes the premise", "SCCP 3, rw", ("deliver.saw:=",)),
    Rule("commit-order", "an agent commits after every lower rank", "SCCP 3", ("commit.lower-committed",)),
    Rule("commit-told", "an agent with something to be told does not commit", "SCCP 3", ("commit.inbox-empty",)),
    Rule("gate", "a call without inverse waits for every lower rank to commit", "SCCP 3", ("call.gate",)),
    Rule(
        "locks",
        "nobody acts on what an open repair has in hand",
        "ours, F24, F29",
        ("read.settled", "call.unlocked", "retract.unlocked", "deliver.settled"),
    ),
    # No clause can be dropped for this one: without the order there is no value at a position to be told. What it is
    # for is shown by two specs beside the protocol, spec/revisions.py.
    Rule("one-way", "notifications go from lower to higher ranks only", "SCCP 4.1", ()),
)

ROUNDS = 3
"""How often each of the two agents acts in the run that is shown of what goes on for ever."""


@attrs.frozen
class Row:
    """What breaks without a rule: a shortest run for each property; ``complete`` when every state was looked at.

    ``reason``: why nothing need break, where the rule is listed as one that changes nothing.
    """

    rule: Rule
    broken: Mapping[str, Trace]
    states: int
    complete: bool
    seconds: float
    reason: str = ""

    @property
    def idle(self) -> bool:
        """Nothing breaks, and nobody said why nothing need."""
        return self.complete and not self.broken and not self.reason

    @property
    def unknown(self) -> bool:
        """The same, as far as was looked."""
        return not self.complete and not self.broken and not self.reason

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "rule": self.rule.id,
            "english": self.rule.english,
            "source": self.rule.source,
            "dropped": list(self.rule.carried_by),
            "breaks": {
                id: {"steps": len(t.steps), "trace": t.lines(), "why": why_broken(t, id)}
                for id, t in self.broken.items()
            },
            "states": self.states,
            "complete": self.complete,
            "equivalent": (not self.broken and self.reason) or None,
        }


def without(spec: Spec, carried_by: Iterable[str]) -> Spec:
    """The spec without some clauses (``ACTION.CLAUSE``) and updates (``ACTION.VARIABLE:=``)."""
    actions: dict[str, Action] = dict(spec.actions)
    for part in carried_by:
        name, _, what = part.partition(".")
        action = actions[name]
        if what.endswith(":="):
            kept = tuple(u for u in action.updates if u.variable.name != what.removesuffix(":="))
            assert len(kept) < len(action.updates), part
            actions[name] = attrs.evolve(action, updates=kept)
        else:
            guard = tuple(c for c in action.guard if c.id != f"{spec.name}.{part}")
            assert len(guard) < len(action.guard), part
            actions[name] = attrs.evolve(action, guard=guard)
    return spec.without(actions=actions)


def ablate(
    only: str = "",
    limit: int = LIMIT,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> list[Row]:
    """The matrix of mtpo: one row for each rule whose id contains ``only``; two agents, one call each, two objects."""
    wanted = [rule for rule in RULES if only in rule.id]
    rows = []
    for number, rule in enumerate(wanted):
        progress(number, len(wanted), rule.id)
        start = time.perf_counter()
        if not rule.carried_by:
            rows.append(livelock(rule))
            continue
        spec = without(mtpo, rule.carried_by)
        instance, roots = one_case(spec, rule.case) if rule.case else mtpo_instance(2, 1, 2, spec=spec)
        broken, states, complete = all_broken(instance, roots, limit)
        rows.append(Row(rule, broken, states, complete, time.perf_counter() - start))
    progress(len(wanted), len(wanted), "")
    return rows


def livelock(rule: Rule) -> Row:
    """Without the direction of notifications: the first rounds of a run that nothing ends, which is proven first."""
    start = time.perf_counter()
    endless = all(v.status is Status.PROVED for v in prove(two_way))
    sizes = dict.fromkeys(two_way.sorts, 2)
    instance = Instance(two_way, sizes, {"other": [1, 0]})
    states, steps = [instance.freeze(instance.initial())], []
    for turn in range(2 * ROUNDS):
        step = Step("act" if turn < 2 else "revise", (turn % 2,))
        assert instance.enabled(states[-1], step)
        after = list(states[-1])
        instance.perform(after, step)
        states.append(instance.freeze(after))
        steps.append(step)
    broken = {"mtpo.notes-consumed": Trace(instance, tuple(states), tuple(steps))} if endless else {}
    return Row(rule, broken, len(states), endless, time.perf_counter() - start)


def one_case(spec: Spec, case: tuple[tuple[str, str], ...]) -> tuple[Instance, list[State]]:
    """One call for each agent with the given footprints on the objects x and y, all invertible, under both policies."""
    spec = without_faults(spec)
    sizes: dict[type[Sort], int] = {Agent: len(case), Call: 1 + len(case), Object: 2, Value: 2}
    fixed = {"origin": [0], "author": [0, *range(len(case))], "given": [0, 0], "accepts": [0] * (1 + len(case)) * 4}
    instance = Instance(spec, sizes, fixed, open=("reads", "writes", "invertible", "replay"))
    roots = [
        instance.freeze(
            instance.initial(
                {
                    "reads": [0, 0, *(int(o in reads) for reads, _ in case for o in "xy")],
                    "writes": [1, 1, *(int(o in writes) for _, writes in case for o in "xy")],
                    "invertible": [1] * (1 + len(case)),
                    "replay": [replay],
                }
            )
        )
        for replay in (0, 1)
    ]
    return instance, roots
