"""What an exploration exercised: each action taken, each guard conjunct true and false, each update a change.

A conjunct is looked at with all arguments, in every state that can be reached. It is *decisive* where it alone forbids
a step: false while the rest of the guard is true; one that never is could go, and nothing would change at these sizes.
What no run exercises is a failure unless it is listed as unreachable, with the reason.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import attrs

from mtpo.proofs.explore import DEFAULT_LIMIT
from mtpo.proofs.verdicts import Status
from mtpo.spec.concrete import Emitter, Instance, State, text
from mtpo.spec.language import Action, Bool, Function, Update, conjuncts, formals_of, show

UNREACHABLE: Final[Mapping[str, str]] = {}
"""What no run of a built-in spec exercises, as ``ID VALUE``, with the reason."""

Test = Callable[..., bool]


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


@attrs.frozen
class Coverage:
    """What was exercised in ``states`` states; ``complete`` when those are all that can be reached."""

    instance: Instance
    states: int
    complete: bool
    lines: tuple[Line, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """What should have been exercised and was not, as ``ID VALUE``."""
        return tuple(f"{line.id} {value}" for line in self.lines for value in line.missing)

    @property
    def mislisted(self) -> tuple[str, ...]:
        """What is listed as unreachable and was exercised, as ``ID VALUE``."""
        return tuple(f"{line.id} {value}" for line in self.lines for value in line.mislisted)

    @property
    def status(self) -> Status:
        """FAILED when something is never exercised; UNKNOWN when the exploration stopped before it was."""
        if self.mislisted or (self.missing and self.complete):
            return Status.FAILED
        return Status.UNKNOWN if self.missing else Status.CHECKED

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "spec": self.instance.spec.name,
            "states": self.states,
            "complete": self.complete,
            "status": str(self.status),
            "missing": list(self.missing),
            "mislisted": list(self.mislisted),
            "lines": [line.as_json() for line in self.lines],
        }


def ids_of(instance_spec: Any) -> set[str]:
    """Everything that can be listed as unreachable: ``ID VALUE``."""
    found = set()
    for action in instance_spec.actions.values():
        found.add(f"{instance_spec.name}.{action.name} taken")
        found |= {f"{id} {value}" for id, _ in _conjuncts(action) for value in ("true", "false")}
        found |= {f"{id} change" for id, _ in _updates(instance_spec.name, action)}
    return found


def coverage(
    instance: Instance,
    initial: Iterable[State],
    *,
    limit: int = DEFAULT_LIMIT,
    unreachable: Mapping[str, str] = UNREACHABLE,
    progress: Callable[[int, int], None] = lambda states, frontier: None,
) -> Coverage:
    """Explore from the initial states to the end or the limit, whatever is violated on the way."""
    spec = instance.spec
    watched = {name: _Watched.of(instance, action) for name, action in spec.actions.items()}
    known = set[State]()
    for state in initial:
        known.add(state)
        if len(known) > limit:
            break
    steps, successors = instance.ground()
    frontier = list(known)
    while frontier:
        following: list[State] = []
        for position, state in enumerate(frontier):
            if position % 4096 == 0:
                progress(len(known), len(frontier) - position)
            for one in watched.values():
                if one.open:
                    one.look(state)
            if len(known) > limit:
                continue
            for number, after in successors(state):
                watched[steps[number].action].take(state, steps[number].args)
                if after not in known:
                    known.add(after)
                    following.append(after)
        frontier = following
    lines = [line for name, one in watched.items() for line in one.lines(f"{spec.name}.{name}", unreachable)]
    return Coverage(instance, len(known), len(known) <= limit, tuple(lines))


@attrs.define
class _Watched:
    """An action with what has been seen of it. ``open`` maps what has not to the test for it, in a state."""

    name: str
    conjuncts: list[tuple[str, Bool]]
    updates: list[tuple[str, Update]]
    open: dict[tuple[str, str], Test]
    changes: dict[str, Test]
    taken: int = 0
    changed: set[str] = attrs.Factory(set)

    @classmethod
    def of(cls, instance: Instance, action: Action) -> _Watched:
        parts, updates = _conjuncts(action), _updates(instance.spec.name, action)
        tests: dict[tuple[str, str], Test] = {}
        for number, (id, part) in enumerate(parts):
            rest = [p for n, (_, p) in enumerate(parts) if n != number]
            tests[id, "true"] = _some(instance, action, [part])
            tests[id, "false"] = _some(instance, action, [~part])
            tests[id, "decisive"] = _some(instance, action, [~part, *rest])
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


def _conjuncts(action: Action) -> list[tuple[str, Bool]]:
    """The conjuncts of a guard, under the ids that their mutants have."""
    found = []
    for clause in action.guard:
        parts = conjuncts(clause.formula)
        found += [(clause.id if len(parts) == 1 else f"{clause.id}/{k}", part) for k, part in enumerate(parts)]
    return found


def _updates(spec: str, action: Action) -> list[tuple[str, Update]]:
    """The updates of an action, under the ids that their mutants have; of two of one variable, with a number."""
    found: dict[str, Update] = {}
    for update in action.updates:
        id = f"{spec}.{action.name}.{update.variable.name}:="
        found[id if id not in found else f"{id}{len(found)}"] = update
    return list(found.items())


# -- tests as code -----------------------------------------------------------------------------------------------------


def _some(instance: Instance, action: Action, parts: list[Bool]) -> Test:
    """``f(state)``: whether the conjunction holds for some arguments of those that it mentions.

    What depends on few arguments is asked before others are chosen.
    """
    emitter = Emitter(instance, grounded=False)
    env: dict[Any, str] = {p: f"p_{name}" for p, name in zip(action.params, formals_of(action), strict=True)}
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
            sizes = [range(instance.size(param.range))] * instance.cells(param)
            scope[f"t_{name}"] = tuple(itertools.product(*sizes))
            loops += f" for {name} in t_{name}"
        else:
            loops += f" for {name} in range({instance.size(param.sort)})"
        bound.add(name)
        condition = ready()
        loops += f" if {condition}" if condition else ""
    return _define(f"def f(s):\n    return bool({first}{f' and any(True{loops})' if loops else ''})", scope)


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
