"""Hypothesis state machines derived from a spec: its actions are the rules, its properties the invariants.

Alone a machine tests the spec where it is too large to be explored. With :meth:`Beside.begin` and :meth:`Beside.took`
overridden it drives an implementation along, step for step, and shrinks what makes the two differ::

    class Beside(state_machine(lock, Process=3)):
        def begin(self, instance, state):
            self.mine = MyLock()

        def took(self, step, before, after):
            getattr(self.mine, step.action)(*step.args)
            assert self.mine.inside == {p for p in range(3) if self.value("holds", p)}

    TestBeside = Beside.TestCase
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from mtpo.proofs.notebook.study import instance_of
from mtpo.spec.concrete import Instance, State, Step
from mtpo.spec.language import Property, Spec

ROOTS = 10_000
"""Of an instance with more initial states (choices of constants) only so many are begun from."""


class Violated(AssertionError):
    """A property that a step or a state violates; the message names both."""


class Beside(RuleBasedStateMachine):
    """What is common to the machines that :func:`state_machine` makes. ``state`` is the spec's."""

    instance: Instance
    roots: Sequence[State]
    steps: Sequence[Step]
    successors: Callable[[State], list[tuple[int, State]]]
    state: State
    enabled: dict[str, dict[Step, State]]

    def begin(self, instance: Instance, state: State) -> None:
        """Called with the initial state of each run, before any step."""

    def took(self, step: Step, before: State, after: State) -> None:
        """Called after each step; whatever it raises is a counterexample."""

    def value(self, variable: str, *args: int) -> int:
        """The value of a state variable, or of a constant that the roots choose, now."""
        return self.instance.value(self.state, variable, *args)

    def _stand(self, state: State) -> None:
        self.state = state
        _fail(self.instance.violated(state), f"the state after {getattr(self, '_last', 'the beginning')}")
        self.enabled = {}
        for place, after in self.successors(state):
            self.enabled.setdefault(self.steps[place].action, {})[self.steps[place]] = after

    def _take(self, step: Step, after: State) -> None:
        before, self._last = self.state, f"{step.action}{step.args}"
        _fail(self.instance.violated_step(before, after), f"the step {self._last}")
        self._stand(after)
        self.took(step, before, after)


def _fail(violated: Sequence[Property], what: str) -> None:
    if violated:
        raise Violated(f"{what} violates {', '.join(f'{p.id} ({p.doc})' for p in violated)}")


def state_machine(spec: Spec, size: int | None = None, **sizes: int) -> type[Beside]:
    """A state machine of an instance of a spec, with sizes as for ``spec.explore``: for mtpo agents, calls and
    objects, for others elements by the name of the sort. Its ``TestCase`` is for pytest or unittest.

    Raises :class:`~mtpo.proofs.notebook.study.StudyError` for sizes that do not fit, and InstanceError for an instance
    with too many steps.
    """
    instance, roots = instance_of(spec, size, sizes)
    steps, successors = instance.ground()

    def start(self: Beside, root: State) -> None:
        self.begin(self.instance, root)
        self._stand(root)

    def rest(self: Beside) -> None:
        """Nothing can happen any more."""

    found = list(itertools.islice(roots, ROOTS))
    body: dict[str, Any] = {
        "__doc__": f"{spec.name}, step by step.",
        "__module__": __name__,
        "instance": instance,
        "roots": found,
        "steps": steps,
        "successors": staticmethod(successors),
        "start": initialize(root=st.sampled_from(found))(start),
        "rest": precondition(lambda self: not self.enabled)(rule()(rest)),
    }
    for name in spec.actions:
        body[f"step_{name}"] = precondition(_can(name))(rule(data=st.data())(_rule(name)))
    return type(f"{spec.name.title().replace('-', '').replace('_', '')}Machine", (Beside,), body)


def _can(name: str) -> Callable[[Any], bool]:
    return lambda self: name in self.enabled


def _rule(name: str) -> Callable[[Any, st.DataObject], None]:
    def take(self: Beside, data: st.DataObject) -> None:
        step = data.draw(st.sampled_from(list(self.enabled[name])))
        self._take(step, self.enabled[name][step])

    take.__name__ = f"step_{name}"
    return take
