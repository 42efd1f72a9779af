"""Verdicts: what was shown, how, and on what it rests. Never a bare "correct"."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

import attrs

from mtpo.spec.concrete import Instance, State, Step
from mtpo.spec.language import Function, Int, Sort, Spec, formals_of
from mtpo.spec.language.terms import Bool


class Status(enum.StrEnum):
    """How a property stands."""

    PROVED = "PROVED"
    CHECKED = "CHECKED"
    SAMPLED = "SAMPLED"
    UNKNOWN = "UNKNOWN"
    FAILED = "FAILED"


EXIT_CODES = {Status.FAILED: 1, Status.UNKNOWN: 3}


@attrs.frozen
class Trace:
    """A counterexample: an instance, states, and the steps between them. One state alone has no steps.

    ``inductive`` says that the first state need not be reachable: it satisfies every property, and the step breaks one.
    """

    instance: Instance
    states: tuple[State, ...]
    steps: tuple[Step, ...]
    inductive: bool = False

    def lines(self) -> list[str]:
        """The trace as text: constants, then per step what it changed."""
        spec = self.instance.spec
        found = ["constants"] if spec.constants else []
        fixed = dict(self.instance.constants)
        for name in self.instance.open:
            start = self.instance.offsets[name]
            fixed[name] = tuple(self.states[0][start : start + self.instance.cells(spec.constants[name])])
        for name, symbol in spec.constants.items():
            found.append(f"  {name}: {_table(self.instance, symbol, fixed[name])}")
        found.append("state that every property allows" if self.inductive else "first state")
        for name, variable in spec.variables.items():
            start = self.instance.offsets[name]
            text = _table(self.instance, variable, self.states[0][start : start + self.instance.cells(variable)])
            if self.inductive or not self.steps:
                found.append(f"  {name}: {text}")
        for number, step in enumerate(self.steps):
            found.append(f"step {number + 1}: {self.step_text(step)}")
            before, after = self.states[number], self.states[number + 1]
            for place, (old, new) in enumerate(zip(before, after, strict=True)):
                if old != new:
                    name, args = self.instance.row(after, place)
                    symbol = spec.variables[name]
                    inner = ", ".join(element(s, a) for s, a in zip(symbol.domain, args, strict=True))
                    change = f"{element(symbol.range, old)} -> {element(symbol.range, new)}"
                    found.append(f"  {name}({inner}): {change}" if inner else f"  {name}: {change}")
        return found

    def step_text(self, step: Step) -> str:
        """A step as ``action(argument=value, ...)``."""
        action = self.instance.spec.actions[step.action]
        parts = []
        for name, param, arg in zip(formals_of(action), action.params, step.args, strict=True):
            if isinstance(param, Function):
                parts.append(f"{name}={_table(self.instance, param, arg)}")
            else:
                parts.append(f"{name}={element(param.sort, arg)}")  # type: ignore[arg-type]
        return f"{step.action}({', '.join(parts)})"


@attrs.frozen
class Picture:
    """A trace without its spec, which a process can't send: sizes by the place of the sort in the spec."""

    sizes: tuple[int, ...]
    constants: dict[str, tuple[int, ...]]
    open: tuple[str, ...]
    states: tuple[State, ...]
    steps: tuple[Step, ...]
    inductive: bool

    @classmethod
    def of(cls, trace: Trace) -> Picture:
        """A trace, ready to be sent."""
        at = trace.instance
        sizes = tuple(at.sizes[s] for s in at.spec.sorts)
        return cls(sizes, at.constants, at.open, trace.states, trace.steps, trace.inductive)

    def trace(self, spec: Spec) -> Trace:
        """The trace again."""
        instance = Instance(spec, dict(zip(spec.sorts, self.sizes, strict=True)), self.constants, self.open)
        return Trace(instance, self.states, self.steps, self.inductive)


_NAMES: ContextVar[Mapping[str, Sequence[str]]] = ContextVar("names of elements", default=MappingProxyType({}))


@contextlib.contextmanager
def naming(names: Mapping[str, Sequence[str]]) -> Iterator[None]:
    """Within it elements have the names that are given for their sort, by its name, as far as these go."""
    token = _NAMES.set(names)
    try:
        yield
    finally:
        _NAMES.reset(token)


def element(sort: type[Any], value: int) -> str:
    """A readable name for an element of a sort: Call 2 is ``call2``, or what :func:`naming` calls it."""
    if sort is Bool:
        return "true" if value else "false"
    if 0 <= value < len(given := _NAMES.get().get(sort.__name__, ())):
        return given[value]
    return f"{sort.__name__.lower()}{value}" if issubclass(sort, Sort) else str(value)


def _table(instance: Instance, symbol: Function[Any], table: Any) -> str:
    if not symbol.domain:
        return element(symbol.range, table[0])
    entries = []
    for point, value in zip(instance.points(symbol), table, strict=True):
        inner = ",".join(element(s, a) for s, a in zip(symbol.domain, point, strict=True))
        if symbol.range is Bool:
            if value:
                entries.append(inner if len(point) == 1 else f"({inner})")
        else:
            entries.append(f"{inner}:{element(symbol.range, value) if symbol.range is not Int else value}")
    return "{" + " ".join(entries) + "}"


@attrs.frozen
class Verdict:
    """The standing of one property.

    ``method`` inductive, exhaustive, ...; ``detail`` obligations, states, sizes, seconds, solver; ``assumptions`` the
    ids on which it rests; ``clause`` the false conjunct and ``trace`` where it failed.
    """

    property: str
    status: Status
    method: str
    detail: dict[str, Any] = attrs.Factory(dict)
    assumptions: tuple[str, ...] = ()
    clause: str = ""
    trace: Trace | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "property": self.property,
            "status": str(self.status),
            "method": self.method,
            **self.detail,
            "assumptions": list(self.assumptions),
            **({"clause": self.clause} if self.clause else {}),
            **({"trace": self.trace.lines()} if self.trace else {}),
        }


def exit_code(verdicts: list[Verdict]) -> int:
    """0 all hold, 1 one is violated, 3 one is unknown."""
    codes = {EXIT_CODES.get(v.status, 0) for v in verdicts}
    return 1 if 1 in codes else 3 if 3 in codes else 0
