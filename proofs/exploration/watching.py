"""Watching for what a run of a spec exercises: an action taken, a conjunct of its guard true, false and decisive, an
update that changes something.

Each of these is a test, compiled once, that is asked in one state after the other until it is met.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from mtpo.spec.concrete import Emitter, Instance, State, text
from mtpo.spec.language import Action, Bool, Function, Update, conjuncts, formals_of, show
from mtpo.spec.language.terms import walk

Test = Callable[..., bool]

Tables = Mapping[str, Sequence[tuple[int, ...]]]
"""By the name of a parameter that is a function: the values it is given."""


@attrs.frozen
class Line:
    """An action, a guard conjunct or an update. ``wanted`` are the values it should have had, ``seen`` those it had.

    Of an action the value is ``taken``, of a conjunct ``true`` and ``false``, of an update ``change``. ``decisive`` is
    None for what is no conjunct; ``listed`` are the values that are known to be unreachable, with the reasons.
    """

    id: str
    kind: str
    what: str
    wanted: tuple[str, ...]
    seen: frozenset[str]
    count: int = 0
    decisive: bool | None = None
    listed: Mapping[str, str] = attrs.Factory(dict)

    @property
    def missing(self) -> tuple[str, ...]:
        """The values that were wanted, not seen, and not listed as unreachable."""
        return tuple(v for v in self.wanted if v not in self.seen and v not in self.listed)

    @property
    def mislisted(self) -> tuple[str, ...]:
        """The values that are listed as unreachable and were seen."""
        return tuple(v for v in self.listed if v in self.seen)

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "id": self.id,
            "kind": self.kind,
            "what": self.what,
            "seen": [v for v in self.wanted if v in self.seen],
            "missing": list(self.missing),
            "steps": self.count,
            "decisive": self.decisive,
            "unreachable": dict(self.listed),
            "mislisted": list(self.mislisted),
        }


@attrs.define
class Watched:
    """An action with what has been seen of it. ``open`` maps what has not to the test for it, in a state."""

    name: str
    conjuncts: list[tuple[str, Bool]]
    updates: list[tuple[str, Update]]
    open: dict[tuple[str, str], Test]
    changes: dict[str, Test]
    taken: int = 0
    changed: set[str] = attrs.Factory(set)

    @classmethod
    def of(cls, instance: Instance, action: Action, tables: Tables | None = None) -> Watched:
        """``tables``: the values that parameters which are functions are given; without it, every function."""
        names = dict(zip(action.params, [f"p_{name}" for name in formals_of(action)], strict=True))
        given = _every_table(instance, action) if tables is None else tables

        def some(parts: list[Bool]) -> Test:
            return test_for(instance, names, parts, given)

        parts, updates = conjuncts_of(action), updates_of(instance.spec.name, action)
        tests: dict[tuple[str, str], Test] = {}
        for number, (id, part) in enumerate(parts):
            rest = [p for n, (_, p) in enumerate(parts) if n != number]
            tests[id, "true"] = some([part])
            tests[id, "false"] = some([~part])
            tests[id, "decisive"] = some([~part, *rest])
        changes = {id: _changes(instance, action, update) for id, update in updates}
        return cls(f"{instance.spec.name}.{action.name}", parts, updates, tests, changes)

    def look(self, state: State) -> None:
        """Look for what has not been seen yet, in a state."""
        for key in [key for key, test in self.open.items() if test(state)]:
            del self.open[key]

    def take(self, state: State, args: tuple[Any, ...]) -> None:
        """Count a step, and see which updates change something."""
        self.taken += 1
        if self.changes:
            for id in [id for id, test in self.changes.items() if test(state, *args)]:
                del self.changes[id]
                self.changed.add(id)

    def lines(self, id: str, unreachable: Mapping[str, str]) -> Iterable[Line]:
        """What was seen, as a report."""

        def line(id: str, kind: str, what: str, wanted: tuple[str, ...], seen: Iterable[str], **more: Any) -> Line:
            listed = {value: unreachable[f"{id} {value}"] for value in wanted if f"{id} {value}" in unreachable}
            return Line(id, kind, what, wanted, frozenset(seen), listed=listed, **more)

        yield line(id, "action", "", ("taken",), ["taken"] if self.taken else [], count=self.taken)
        for conjunct, part in self.conjuncts:
            seen = {value for value in ("true", "false", "decisive") if (conjunct, value) not in self.open}
            decisive = "decisive" in seen
            yield line(conjunct, "guard", show(part), ("true", "false"), seen - {"decisive"}, decisive=decisive)
        for update, given in self.updates:
            what = f"{show(given.variable(*given.args))} := {show(given.value)}"
            yield line(update, "update", what, ("change",), ["change"] if update in self.changed else [])


def conjuncts_of(action: Action) -> list[tuple[str, Bool]]:
    """The conjuncts of a guard, under the ids that their mutants have."""
    found = []
    for clause in action.guard:
        parts = conjuncts(clause.formula)
        found += [(clause.id if len(parts) == 1 else f"{clause.id}/{k}", part) for k, part in enumerate(parts)]
    return found


def updates_of(spec: str, action: Action) -> list[tuple[str, Update]]:
    """The updates of an action, under the ids that their mutants have; of two of one variable, with a number."""
    found: dict[str, Update] = {}
    for update in action.updates:
        id = f"{spec}.{action.name}.{update.variable.name}:="
        found[id if id not in found else f"{id}{len(found)}"] = update
    return list(found.items())


# -- tests as code -----------------------------------------------------------------------------------------------------


def test_for(instance: Instance, names: Mapping[Any, str], parts: Sequence[Bool], tables: Tables) -> Test:
    """``f(state)`` or, if a part reads the next state, ``f(state, after)``: whether the conjunction holds for some
    values, of those that it mentions, of what ``names`` names in code: variables and functions.

    What depends on few of them is asked before others are chosen.
    """
    emitter, env = Emitter(instance, grounded=False), dict(names)
    codes = sorted((f"({text(emitter.code(part, env))})" for part in parts), key=len)
    used = {param: name for param, name in env.items() if any(name in code for code in codes)}
    scope, loops, bound = _scope(instance), "", set[str]()

    def ready() -> str:
        """The conditions whose arguments are all chosen by now, the shortest first."""
        now = [code for code in codes if all(name in bound for name in used.values() if name in code)]
        for code in now:
            codes.remove(code)
        return " and ".join(now)

    first = ready() or "True"
    for param, name in used.items():
        if isinstance(param, Function):
            scope[f"t_{name}"] = tables[param.name]
            loops += f" for {name} in t_{name}"
        else:
            loops += f" for {name} in range({instance.size(param.sort)})"
        bound.add(name)
        condition = ready()
        loops += f" if {condition}" if condition else ""
    return _define(f"def f(s, t=None):\n    return bool({first}{f' and any(True{loops})' if loops else ''})", scope)


def _every_table(instance: Instance, action: Action) -> Tables:
    """Every value of each parameter that is a function and that the guard mentions."""
    named = {t.data[0].name for c in action.guard for t in walk(c.formula) if t.op == "apply"}
    sizes = {p: [range(instance.size(p.range))] * instance.cells(p) for p in action.functions if p.name in named}
    return {p.name: tuple(itertools.product(*size)) for p, size in sizes.items()}


def _changes(instance: Instance, action: Action, update: Update) -> Test:
    """``f(state, *arguments)``: whether the update gives a cell another value."""
    emitter = Emitter(instance, grounded=False)
    names = [f"p_{name}" for name in formals_of(action)]
    env: dict[Any, str] = dict(zip(action.params, names, strict=True))
    loops = ""
    if update.whole:
        inner = {v: emitter.name(v) for v in update.args}
        loops = "".join(f" for {inner[v]} in range({instance.size(v.sort)})" for v in update.args)
        env |= inner
    place = emitter.place(update.variable, update.args, env, instance.offsets[update.variable.name])
    code = f"s[{place}] != int({text(emitter.code(update.value, env))})"
    head = ", ".join(["s", *names])
    return _define(f"def f({head}):\n    return {f'any({code}{loops})' if loops else code}", _scope(instance))


def _scope(instance: Instance) -> dict[str, Any]:
    return {f"c_{name}": table for name, table in instance.constants.items()}


def _define(source: str, scope: dict[str, Any]) -> Test:
    exec(compile(source, "<coverage>", "exec"), scope)
    found: Test = scope["f"]
    return found
