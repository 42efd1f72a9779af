"""What logs exercise, against every formula walked in every state, and against what the runs are known to do."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mtpo.proofs.exploration.watching import conjuncts_of
from mtpo.proofs.replay.exercised import ROLES, Exercised, Suite, exercised
from mtpo.proofs.replay.numbering import Numbering
from mtpo.proofs.replay.premises import premises
from mtpo.proofs.replay.stepping import Plain
from mtpo.spec.concrete import Instance, State, evaluate
from mtpo.spec.language import Sort, Spec, Term, conj, forall, implies
from mtpo.spec.mtpo import mtpo
from mtpo.spec.records import Record, value_digest
from mtpo_core.log import LoggedRun

Written = Callable[[Any], LoggedRun]


def of(run: LoggedRun, name: str = "log", **more: Any) -> Exercised:
    return exercised(name, run.records, absent=value_digest(run.salt, None), **more)


def seen(found: Exercised) -> set[str]:
    said = {f"{line.id} {value}" for line in found.lines for value in line.seen}
    return said | {f"{line.id} decisive" for line in found.lines if line.decisive}


class Walked(Plain):
    """Every formula in every state, for every choice of arguments, by walking its tree."""

    def __init__(self, numbering: Numbering, records: tuple[Record, ...]) -> None:
        super().__init__(numbering)
        self.found: set[str] = set()
        steps = [self._step(step) for r in records if (step := numbering.step(r)) is not None]
        self.choices = {name: list(self.arguments(name, steps)) for name in mtpo.actions}
        self.look(None)
        for step in steps:
            before = list(self.state)
            self.found.add(f"mtpo.{step.action} taken")
            self.spec.perform(self.state, step)
            self.look(before)

    def arguments(self, name: str, steps: list[Any]) -> Iterator[tuple[Any, ...]]:
        action, taken = mtpo.actions[name], [step.args for step in steps if step.action == name]
        yield from itertools.product(
            *(
                range(self.spec.size(p.sort)) if isinstance(p, Term) else sorted({args[k] for args in taken})
                for k, p in enumerate(action.params)
            )
        )

    def look(self, before: State | None) -> None:
        for name, action in mtpo.actions.items():
            parts = conjuncts_of(action)
            if name in ("applied", "redone"):  # what they leave is mentioned by no clause
                choices = [(c, ()) for c in range(self.spec.sizes[action.elements[0].sort])]
            elif name in ("call", "read", "retract") and not self.choices[name]:
                continue  # of the clauses that mention no function something is seen, which is not walked here
            else:
                choices = self.choices[name]
            for args in choices:
                env = dict(zip(action.params, args, strict=True))
                values = [bool(evaluate(part, self.spec, self.state, env)) for _, part in parts]
                self.found |= {f"{id} {str(v).lower()}" for (id, _), v in zip(parts, values, strict=True)}
                if values.count(False) == 1:
                    self.found.add(f"{parts[values.index(False)][0]} decisive")
        for p in mtpo.role(*ROLES):
            if p.role == "reachable":
                self.found |= {f"{p.id} reached"} if evaluate(p.formula, self.spec, self.state, {}) else set()
                continue
            for one in premises(p):
                if f"{one.id} met" not in self.found and self.met(one, before if p.role == "step" else self.state):
                    self.found.add(f"{one.id} met")

    def met(self, one: Any, state: State | None) -> bool:
        points = itertools.product(*(range(self.spec.size(v.sort)) for v in one.over))
        formula = conj(*one.formulas)
        return state is not None and any(
            evaluate(formula, self.spec, state, dict(zip(one.over, point, strict=True)), self.state) for point in points
        )


def test_it_is_what_walking_every_formula_sees(good: Any, written: Written) -> None:
    run = written(good)
    walked = Walked(Numbering(run.records, value_digest(run.salt, None)), run.records).found
    found = {one for one in seen(of(run)) if not one.endswith(" change") and not one.startswith("mtpo.retract.")}
    assert found == walked and len(walked) > 150


def test_what_a_repaired_run_is_known_to_do(good: Any, written: Written) -> None:
    found = of(written(good))
    steps = {line.id.removeprefix("mtpo."): line.count for line in found.lines if line.kind == "action" and line.count}
    assert steps == {
        **dict.fromkeys(("launch", "finish", "commit", "read", "call", "applied", "settle"), 2),
        **dict.fromkeys(("reopen", "deliver", "undone", "redone"), 1),
        "finish": 3,
    }
    assert found.steps == sum(steps.values()) and found.looked == found.records == len(good.lines)
    said = seen(found)
    assert {"mtpo.redo-told met", "mtpo.reach-reopened reached", "mtpo.commit.lower-committed decisive"} <= said
    assert not {"mtpo.gate met", "mtpo.call.gate false", "mtpo.reach-gated reached", "mtpo.abort taken"} & said


def test_a_suite_is_the_union_of_its_logs_with_in_how_many_each_thing_was(
    script: Any, good: Any, written: Written
) -> None:
    other = script("mtpo", ["A", "B"], {"x": "0"})
    other.plain("finish", 0)
    other.plain("commit", 0)
    other.write("1.0", {"x": (None, "0")}, {"x": "1"}, invertible=False)
    other.plain("abort", 1)
    other.plain("commit", 1)
    other.close({"x": "1"})
    first, second = of(written(good), "good"), of(written(other), "other")
    suite = Suite.of([first, second])
    lines = {line.id: line for line in suite.lines}
    assert (lines["mtpo.abort"].steps, lines["mtpo.abort"].logs) == (1, {"taken": 1})
    assert (lines["mtpo.finish"].steps, lines["mtpo.finish"].logs) == (4, {"taken": 2})
    assert lines["mtpo.call.gate"].logs == {"true": 2, "false": 1, "decisive": 1}, "the call waits for A to commit"
    assert lines["mtpo.gate"].logs == {"met": 1} and lines["mtpo.reach-kept"].logs == {"reached": 1}
    assert lines["mtpo.redone"].logs == {"taken": 1} and lines["mtpo.external"].logs == {"taken": 0}
    exercised_by_none = {f"{line.id} {v}" for line in first.lines for v in line.wanted} - seen(first) - seen(second)
    assert set(suite.missing) == exercised_by_none
    data = suite.as_json()
    assert [log["log"] for log in data["logs"]] == ["good", "other"] and data["missing"] == list(suite.missing)
    assert next(line for line in data["lines"] if line["id"] == "mtpo.abort")["steps"] == 1


def test_actions_are_counted_in_the_whole_log_and_the_rest_is_looked_at_in_its_beginning(
    good: Any, written: Written
) -> None:
    run = written(good)
    found = of(run, limit=6)
    assert (found.looked, found.records) == (6, len(good.lines))
    lines = {line.id: line for line in found.lines}
    assert lines["mtpo.redone"].count == 1 and not lines["mtpo.redone.pending"].seen - {"false"}
    assert seen(found) < seen(of(run))


class Lamp(Sort):
    "a lamp"


@pytest.fixture
def lamps() -> Spec:
    spec = Spec("lamps")
    on = spec.var("on", Lamp, init=lambda x: False)
    hot = spec.var("hot", Lamp, init=lambda x: False)

    @spec.invariant("lamps.both")
    def both() -> Any:
        "Two parts with a premise, one of them in the conclusion of another, and one without."
        inner = forall(Lamp, lambda y: implies(hot(y), on(y)))
        return conj(forall(Lamp, lambda x: implies(on(x), conj(inner, hot(x)))), forall(Lamp, lambda x: ~hot(x)))

    @spec.step_property("lamps.step")
    def step() -> Any:
        "Of a step."
        return forall(Lamp, lambda x: implies(on.next(x) & ~on(x), hot(x)))

    return spec


def test_the_premises_of_a_property_are_those_on_the_way_to_each_of_its_parts(lamps: Spec) -> None:
    first, second = premises(lamps.properties["lamps.both"])
    assert (first.id, first.what, len(first.over)) == ("lamps.both/0", "on(x) & hot(y)", 2)
    assert (second.id, second.what, len(second.over)) == ("lamps.both/1", "on(x)", 1)
    (of_step,) = premises(lamps.properties["lamps.step"])
    assert of_step.id == "lamps.step"
    instance = Instance(lamps, {Lamp: 2})
    assert [first.test(instance)(s) for s in ((0, 0, 1, 1), (1, 0, 0, 0), (1, 0, 0, 1))] == [False, False, True]
    met = of_step.test(instance)
    assert met((0, 0, 0, 0), (0, 1, 0, 0)) and not met((0, 1, 0, 0), (0, 1, 0, 0))
