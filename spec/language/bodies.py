"""The bodies of actions: what they require, and what they change.

The body of an action runs once, when it is declared; meanwhile a recorder takes down each ``require`` and each change
of a variable, and refuses what makes no sense in the place where it is written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

from mtpo.spec.language.checks import NAME, NAME_IS, call, in_scope, only_now
from mtpo.spec.language.terms import TRUE, Bool, Function, Term, fail, lift, show, where

if TYPE_CHECKING:
    from mtpo.spec.language.spec import Spec

R = TypeVar("R", bound=Term)


@attrs.frozen(eq=False, repr=False)
class Variable(Function[R], Generic[R]):
    """A state variable: a function symbol whose value an action can change."""

    init: Term = TRUE
    formals: tuple[Term, ...] = ()

    def __setitem__(self, args: Any, value: Any) -> None:
        """Change one point, in the body of an action. Where points coincide (``f[x]``, ``f[y]``, and x is y) the last
        counts."""
        points = args if isinstance(args, tuple) else (args,)
        recording(f"`{self.name}[...] = `").point(self, self._check(points), value)

    def becomes(self, value: Any) -> None:
        """Change the whole function, in the body of an action; a plain value if it has no arguments."""
        recording(f"`{self.name}.becomes`").whole(self, value)


@attrs.frozen
class Clause:
    """One named conjunct of a guard. ``id`` is ``SPEC.ACTION.NAME``; ``at`` is its file and line."""

    id: str
    formula: Bool = attrs.field(eq=False)
    at: str


@attrs.frozen(eq=False)
class Update:
    """``variable(args) := value``; or, with ``formals`` in place of ``args``, the same for all arguments at once."""

    variable: Variable[Any]
    args: tuple[Term, ...]
    value: Term
    whole: bool
    at: str


@attrs.define
class Recorder:
    """What the body of an action being declared has said so far."""

    spec: Spec
    prefix: str
    params: tuple[Term | Function[Any], ...]
    guard: list[Clause] = attrs.Factory(list)
    updates: list[Update] = attrs.Factory(list)

    def clause(self, name: str, formula: Any) -> None:
        if not isinstance(name, str) or formula is None:
            raise fail('`require("NAME", formula)`: a clause of a guard has a name, and what it says')
        term = lift(formula)
        if not isinstance(term, Bool):
            raise fail(f"require({name!r}) wants a Bool, found {term.sort.__name__}")
        only_now(term, f"guard clause {name!r}")
        in_scope(self.spec, term, f"guard clause {name!r}", self.params)
        if self.updates:
            raise fail(f"require({name!r}) after an update: a guard speaks of the state before the step, put it first")
        if not NAME.fullmatch(name):
            raise fail(f"require({name!r}): a clause is named with {NAME_IS}")
        if any(clause.id == f"{self.prefix}.{name}" for clause in self.guard):
            raise fail(f"two clauses named {name!r} in one action")
        self.guard.append(Clause(f"{self.prefix}.{name}", term, where()))

    def point(self, variable: Variable[Any], args: tuple[Term, ...], value: Any) -> None:
        self._add(variable, args, value, whole=False)

    def whole(self, variable: Variable[Any], value: Any) -> None:
        if callable(value) and not isinstance(value, Term):
            given = call(value, variable.formals, f"`{variable.name}.becomes`")
            self._add(variable, variable.formals, given, whole=True)
        elif not variable.domain:
            self._add(variable, (), value, whole=True)
        else:
            raise fail(f"`{variable.name}.becomes` wants a function of {len(variable.domain)} argument(s)")

    def _add(self, variable: Variable[Any], args: tuple[Term, ...], value: Any, whole: bool) -> None:
        term = lift(value)
        if term.sort is not variable.range:
            raise fail(
                f"sort mismatch: `{variable.name}` has values in {variable.range.__name__}, found {term.sort.__name__}"
            )
        what = f"update of `{variable.name}`"
        only_now(term, what)
        in_scope(self.spec, variable(*args), what, (*self.params, *variable.formals))
        in_scope(self.spec, term, what, (*self.params, *variable.formals))
        if whole and any(update.variable is variable for update in self.updates):
            raise fail(f"`{variable.name}.becomes` after another update of it would hide that one")
        if not whole and any(u.variable is variable and _same_point(u, args) for u in self.updates):
            raise fail(f"`{show(variable(*args))}` is changed twice in one action: only the last would count")
        self.updates.append(Update(variable, args, term, whole, where()))


def _same_point(update: Update, args: tuple[Term, ...]) -> bool:
    """Whether an update is of a point written as ``args``; what is only equal in some states is not seen here."""
    return not update.whole and [show(a) for a in update.args] == [show(a) for a in args]


_current: ContextVar[Recorder | None] = ContextVar("mtpo_spec_action", default=None)


def recording(what: str) -> Recorder:
    recorder = _current.get()
    if recorder is None:
        raise fail(f"{what} is for the body of an action")
    return recorder


@contextlib.contextmanager
def record(spec: Spec, prefix: str, params: tuple[Term | Function[Any], ...]) -> Iterator[Recorder]:
    recorder = Recorder(spec, prefix, params)
    token = _current.set(recorder)
    try:
        yield recorder
    finally:
        _current.reset(token)


def require(name: str, formula: Bool | None = None) -> None:
    """A named conjunct of the guard of the action being declared."""
    recording("require").clause(name, formula)
