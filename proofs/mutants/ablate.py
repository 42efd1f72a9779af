"""Ablation: which properties break when a published rule of the protocol goes, each with a shortest run.

A mutant asks whether anything notices; an ablation asks what a rule is for. Those of other specs, clause by clause, are
in :mod:`mtpo.proofs.mutants.dropped`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import attrs

from mtpo.proofs.exploration.instances import Roots, mtpo_instance
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.mutants.breaking import all_broken
from mtpo.proofs.mutants.cases import Planned, case_instance
from mtpo.proofs.pictures.picture import violations_of
from mtpo.proofs.verdicts import Status, Trace
from mtpo.spec.concrete import Instance, State, Step
from mtpo.spec.language import Action, Spec
from mtpo.spec.mtpo import mtpo
from mtpo.spec.revisions import two_way

LIMIT = 400_000
"""States that are looked at for each rule."""


Setting = Literal["", "faults", "predicates"]


@attrs.frozen
class Rule:
    """A rule of the protocol: what it says, where, and the clauses and updates (``:=``) that carry it.

    ``case``: the calls of a case, where every footprint of two agents is too little. ``setting``: whether, with one
    object, agents abort and retract and somebody changes it from outside (``faults``), or premises carry predicates.
    """

    id: str
    english: str
    source: str
    carried_by: tuple[str, ...]
    case: tuple[Planned, ...] = ()
    setting: Setting = ""


_ONE_OBJECT = tuple(Planned(rank, writes="x") for rank in range(3))

RULES: tuple[Rule, ...] = (
    Rule("rank-order", "an agent launched later has a higher rank", "SCCP 3, order", ("launch.rank-order",)),
    Rule(
        "issue-order",
        "the calls of an agent are in the order of their issue",
        "SCCP 3, order",
        ("read.in-issue-order", "call.in-issue-order"),
        (Planned(0, writes="x"), Planned(0, reads="x"), Planned(1, reads="x")),
    ),
    Rule("filtered-read", "a read gets the greatest write below it", "SCCP 3, wr", ("read.is-greatest",)),
    Rule("screened", "higher-ranked writes are screened out of a read", "SCCP 3, wr", ("read.is-below",)),
    Rule("undo", "a late write undoes the later ones that conflict with it", "SCCP 3, ww", ("call.seeds",)),
    Rule(
        "closure",
        "what depends on an undone write is undone too",
        "ours, F1",
        ("call.closed",),
        (Planned(0, writes="x"), Planned(1, writes="xy"), Planned(2, writes="y")),
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
    Rule("reopen", "a notification reopens an agent that had finished", "SCCP 3, rw", ("deliver.at-work",)),
    Rule(
        "judge",
        "who takes work back is its author, who has read all it was told",
        "SCCP 3, repair",
        ("retract.by-its-author",),
        setting="faults",
    ),
    Rule("commit-finished", "an agent commits only when it has finished", "SCCP 3, commit", ("commit.finished",)),
    Rule("commit-order", "an agent commits after every lower rank", "SCCP 3", ("commit.lower-committed",)),
    Rule("commit-told", "an agent with something to be told does not commit", "SCCP 3", ("commit.inbox-empty",)),
    Rule("gate", "a call without inverse waits for every lower rank to commit", "SCCP 3", ("call.gate",)),
    Rule(
        "abort",
        "who aborts has its writes taken out, and never re-applied, before it counts as committed",
        "ours, F9, F31",
        ("commit.retracted", "redone.author-there"),
        setting="faults",
    ),
    Rule(
        "failure",
        "a call that fails, or is taken back, is still a read of what it read",
        "ours, F8, F33",
        ("failed.sighted:=", "cancelled.sighted:=", "stranded.sighted:=", "retracted.sighted:="),
        setting="faults",
    ),
    Rule(
        "failure-exact",
        "what made a call fail is waived by no predicate",
        "ours, F37",
        ("failed.void:=",),
        setting="predicates",
    ),
    Rule(
        "waivers",
        "a predicate waives what is told, not the exact effect: a call goes by the value that is there",
        "ours",
        ("applied.saw:=", "redone.saw:="),
        setting="predicates",
    ),
    Rule(
        "external",
        "what somebody changed without a tool is not overwritten, nor undone",
        "SCCP 4, A2; ours, F10",
        tuple(f"{name}.ours" for name in ("call", "undone", "applied", "redone", "retract", "retracted")),
        setting="faults",
    ),
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


ENDLESS = "two_way.endless"
"""What two agents that tell each other keep to, whatever they do: there is something left to do."""


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
    """The matrix of mtpo: one row for each rule whose id contains ``only``; two agents, one call each, two objects,
    unless the rule says otherwise."""
    wanted = [rule for rule in RULES if only in rule.id]
    rows = []
    for number, rule in enumerate(wanted):
        progress(number, len(wanted), rule.id)
        start = time.perf_counter()
        if not rule.carried_by:
            rows.append(livelock(rule))
            continue
        instance, roots = _instance(without(mtpo, rule.carried_by), rule)
        broken, states, complete = all_broken(instance, roots, limit)
        rows.append(Row(rule, broken, states, complete, time.perf_counter() - start))
    progress(len(wanted), len(wanted), "")
    return rows


def _instance(spec: Spec, rule: Rule) -> tuple[Instance, Roots]:
    if rule.case:
        return case_instance(spec, rule.case)
    if rule.setting:
        return mtpo_instance(
            2, 1, 1, spec=spec, faults=rule.setting == "faults", predicates=rule.setting == "predicates"
        )
    return mtpo_instance(2, 1, 2, spec=spec)


def livelock(rule: Rule) -> Row:
    """Without the direction of notifications: two agents, x := y/2 and y := x/2, that tell each other for ever.

    That no run ends is proven; what is shown is a shortest one that comes back to where it was but for the values."""
    start = time.perf_counter()
    endless = all(v.status is Status.PROVED for v in prove(two_way))
    instance = Instance(two_way, dict.fromkeys(two_way.sorts, 2), {"other": [1, 0]})
    trace, states = _round(instance)
    return Row(rule, {ENDLESS: trace} if endless else {}, states, endless, time.perf_counter() - start)


def _round(instance: Instance) -> tuple[Trace, int]:
    """A shortest run to a state in which the same agents have acted, and the same can be told, as before in it; and how
    many states were looked at."""
    steps, successors = instance.ground()

    def alike(state: State) -> tuple[Any, ...]:
        acted = tuple(instance.value(state, "acted", agent) for agent in range(2))
        return acted, tuple(sorted(number for number, _ in successors(state)))

    runs: list[tuple[tuple[State, ...], tuple[Step, ...]]] = [((instance.freeze(instance.initial()),), ())]
    looked = 1
    for states, taken in runs:  # shortest first: it grows as it is gone through
        for number, after in successors(states[-1]):
            looked += 1
            run = (*states, after), (*taken, steps[number])
            if any(alike(before) == alike(after) for before in states):
                return Trace(instance, *run), looked
            runs.append(run)
    raise AssertionError("a run of two agents ends")


def why_broken(trace: Trace, id: str) -> list[str]:
    """What is false at the end of a run that breaks a property, as text; or why the run has no end."""
    spec = trace.instance.spec
    if false := [line.removeprefix("  ") for line in violations_of(trace, [id])[1:]]:
        return false
    return ["and so on: nothing ends it, as is proven", f"{id}: {spec.properties[id].doc}"]
