"""The modelling language: a spec reads like TLA+ and is plain Python.

A spec declares sorts, rigid constants, state variables with their initial values, actions (parameters, guard, update)
and properties. It is written once and interpreted several ways: run on Python values, explored, proven by z3 for any
number of elements of each sort. By example, a mutual-exclusion lock::

    from mtpo.spec.language import Bool, Sort, Spec, exists, forall, implies, require

    lock = Spec("lock", "Mutual exclusion by one lock.")

    class Process(Sort):
        "a process"

    holds = lock.var("holds", Process, init=lambda p: False, doc="p is in its critical section")

    @lock.action
    def acquire(p: Process) -> None:
        "p enters when nobody is inside."
        require("free", ~exists(Process, lambda q: holds(q)))
        holds[p] = True

    @lock.action
    def release(p: Process) -> None:
        "p leaves."
        require("holder", holds(p))
        holds[p] = False

    @lock.invariant("lock.exclusion")
    def exclusion() -> Bool:
        "At most one process is inside."
        return forall(Process, Process, lambda p, q: implies(holds(p) & holds(q), p == q))

The body of an action runs once, when it is declared; it reads the state before the step only. ``f[x] = v`` changes one
point, ``f.becomes(lambda x: ...)`` the whole function; what is not mentioned stays. Each ``require`` has a name, unique
within its action: the clause id ``lock.acquire.free``. Constants and variables may be of any arity, also none:
``busy = spec.var("busy", init=lambda: False)``, read as ``busy()``, changed by ``busy.becomes(True)``.
Parameters may be functions: ``@spec.action(out=function(Object, to=Value))``.
"""

from __future__ import annotations

import contextlib
import inspect
import typing
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final, Generic, TypeVar, cast, overload

import attrs

from mtpo.spec.terms import (
    FALSE,
    TRUE,
    Bool,
    Function,
    Int,
    OrderedSort,
    Sort,
    SpecError,
    Term,
    bound,
    conj,
    conjuncts,
    disj,
    exists,
    fail,
    forall,
    iff,
    implies,
    ite,
    lift,
    show,
    walk,
    where,
)

__all__ = [
    "FALSE",
    "TRUE",
    "Action",
    "Bool",
    "Clause",
    "Function",
    "Int",
    "OrderedSort",
    "Property",
    "Sort",
    "Spec",
    "SpecError",
    "Term",
    "Update",
    "Variable",
    "Variant",
    "conj",
    "conjuncts",
    "disj",
    "exists",
    "forall",
    "function",
    "iff",
    "implies",
    "ite",
    "require",
    "show",
]

R = TypeVar("R", bound=Term)


@attrs.frozen(eq=False, repr=False)
class Variable(Function[R], Generic[R]):
    """A state variable: a function symbol whose value an action can change."""

    init: Term = TRUE
    formals: tuple[Term, ...] = ()

    def __setitem__(self, args: Any, value: Any) -> None:
        """Change one point, in the body of an action."""
        points = args if isinstance(args, tuple) else (args,)
        _recording(f"`{self.name}[...] = `").point(self, self._check(points), value)

    def becomes(self, value: Any) -> None:
        """Change the whole function, in the body of an action; a plain value if it has no arguments."""
        _recording(f"`{self.name}.becomes`").whole(self, value)


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


@attrs.frozen(eq=False)
class Action:
    """A named step: for any ``params`` that satisfy all clauses of ``guard``, the updates happen together."""

    name: str
    doc: str
    params: tuple[Term | Function[Any], ...]
    guard: tuple[Clause, ...]
    updates: tuple[Update, ...]
    at: str

    @property
    def elements(self) -> tuple[Term, ...]:
        """The parameters that are elements of sorts."""
        return tuple(p for p in self.params if isinstance(p, Term))

    @property
    def functions(self) -> tuple[Function[Any], ...]:
        """The parameters that are functions."""
        return tuple(p for p in self.params if isinstance(p, Function))


@attrs.frozen(eq=False)
class Property:
    """A named formula. ``role``: assumption, invariant, lemma (an invariant that serves the proof), step, reachable."""

    id: str
    doc: str
    formula: Bool
    role: str
    at: str


@attrs.frozen(eq=False)
class Variant:
    """A termination measure: a lexicographic tuple of sets, given by predicates over ``over``.

    Each action named in ``decreases`` leaves the sets before some position unchanged or smaller and makes the set at
    that position strictly smaller; since the sets are finite in any run, these actions cannot go on for ever.
    """

    id: str
    doc: str
    over: tuple[Term, ...]
    sets: tuple[Bool, ...]
    decreases: tuple[str, ...]
    at: str


@attrs.define
class _Recorder:
    """What the body of an action being declared has said so far."""

    prefix: str
    guard: list[Clause] = attrs.Factory(list)
    updates: list[Update] = attrs.Factory(list)

    def clause(self, name: str, formula: Any) -> None:
        term = lift(formula)
        if not isinstance(term, Bool):
            raise fail(f"require({name!r}) wants a Bool, found {term.sort.__name__}")
        _only_now(term, f"guard clause {name!r}")
        if any(clause.id == f"{self.prefix}.{name}" for clause in self.guard):
            raise fail(f"two clauses named {name!r} in one action")
        self.guard.append(Clause(f"{self.prefix}.{name}", term, where()))

    def point(self, variable: Variable[Any], args: tuple[Term, ...], value: Any) -> None:
        self._add(variable, args, value, whole=False)

    def whole(self, variable: Variable[Any], value: Any) -> None:
        if callable(value) and not isinstance(value, Term):
            self._add(variable, variable.formals, value(*variable.formals), whole=True)
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
        _only_now(term, f"update of `{variable.name}`")
        if whole and any(update.variable is variable for update in self.updates):
            raise fail(f"`{variable.name}.becomes` after another update of it would hide that one")
        self.updates.append(Update(variable, args, term, whole, where()))


_current: ContextVar[_Recorder | None] = ContextVar("mtpo_spec_action", default=None)


def _recording(what: str) -> _Recorder:
    recorder = _current.get()
    if recorder is None:
        raise fail(f"{what} is for the body of an action")
    return recorder


@contextlib.contextmanager
def _record(prefix: str) -> Iterator[_Recorder]:
    recorder = _Recorder(prefix)
    token = _current.set(recorder)
    try:
        yield recorder
    finally:
        _current.reset(token)


def _only_now(term: Term, what: str) -> None:
    for part in walk(term):
        if part.op == "apply" and part.data[1]:
            raise fail(f"{what} reads the next state, `{show(part)}`: only a step property may")


def require(name: str, formula: Bool) -> None:
    """A named conjunct of the guard of the action being declared."""
    _recording("require").clause(name, formula)


def function(*domain: type[Term], to: type[R] | None = None) -> tuple[tuple[type[Term], ...], type[Term]]:
    """The type of a function-valued action parameter; without ``to`` a relation."""
    return domain, to or Bool


F = TypeVar("F", bound=Callable[..., None])
P = TypeVar("P", bound=Callable[..., Bool])

_ROLES: Final = ("assumption", "invariant", "lemma", "step", "reachable")


class Spec:
    """A model: what it is made of is in the public attributes, all in order of declaration."""

    def __init__(self, name: str, doc: str = "") -> None:
        self.name = name
        self.doc = inspect.cleandoc(doc)
        self.constants: dict[str, Function[Any]] = {}
        self.variables: dict[str, Variable[Any]] = {}
        self.actions: dict[str, Action] = {}
        self.properties: dict[str, Property] = {}
        self.variants: dict[str, Variant] = {}

    def __repr__(self) -> str:
        return f"<Spec {self.name}: {len(self.actions)} actions, {len(self.properties)} properties>"

    @property
    def sorts(self) -> tuple[type[Sort], ...]:
        """The user sorts that constants, variables, actions and properties mention."""
        found: dict[type[Sort], None] = {}
        for symbol in (*self.constants.values(), *self.variables.values()):
            for sort in (*symbol.domain, symbol.range):
                if issubclass(sort, Sort):
                    found.setdefault(sort)
        for action in self.actions.values():
            for param in action.params:
                parts = (param.sort,) if isinstance(param, Term) else (*param.domain, param.range)
                for sort in parts:
                    if issubclass(sort, Sort):
                        found.setdefault(sort)
        return tuple(found)

    def role(self, *roles: str) -> tuple[Property, ...]:
        """The properties with one of these roles."""
        return tuple(p for p in self.properties.values() if p.role in roles)

    # -- declarations ------------------------------------------------------------------------------------------

    @overload
    def const(self, name: str, *domain: type[Term], doc: str = "") -> Function[Bool]: ...
    @overload
    def const(self, name: str, *domain: type[Term], to: type[R], doc: str = "") -> Function[R]: ...
    def const(self, name: str, *domain: type[Term], to: type[Any] = Bool, doc: str = "") -> Function[Any]:
        """A rigid function or relation: chosen before the run, never changed."""
        self._fresh(name)
        self.constants[name] = symbol = Function[Any](name, domain, to, "const", doc)
        return symbol

    @overload
    def var(self, name: str, *domain: type[Term], init: Callable[..., Any], doc: str = "") -> Variable[Bool]: ...
    @overload
    def var(
        self, name: str, *domain: type[Term], to: type[R], init: Callable[..., Any], doc: str = ""
    ) -> Variable[R]: ...
    def var(
        self, name: str, *domain: type[Term], to: type[Any] = Bool, init: Callable[..., Any], doc: str = ""
    ) -> Variable[Any]:
        """A state variable; ``init`` gives its first value for each argument."""
        self._fresh(name)
        formals = tuple(bound(sort, f"x{i}") for i, sort in enumerate(domain))
        value = lift(init(*formals))
        if value.sort is not to:
            raise fail(f"sort mismatch: the initial value of `{name}` is {value.sort.__name__}, wanted {to.__name__}")
        _only_now(value, f"the initial value of `{name}`")
        self.variables[name] = symbol = Variable[Any](name, domain, to, "var", doc, value, formals)
        return symbol

    def _fresh(self, name: str) -> None:
        if not name.isidentifier():
            raise fail(f"{name!r} is not an identifier")
        if name in self.constants or name in self.variables:
            raise fail(f"`{name}` is already declared")

    @overload
    def action(self, body: F, /) -> F: ...
    @overload
    def action(self, /, **functions: tuple[tuple[type[Term], ...], type[Term]]) -> Callable[[F], F]: ...
    def action(self, body: F | None = None, /, **functions: Any) -> Any:
        """Declare an action; its parameters' annotations are their sorts, ``functions`` types function parameters."""
        if body is not None:
            return self._declare(body, {})
        return lambda inner: self._declare(inner, functions)

    def _declare(self, body: F, functions: dict[str, Any]) -> F:
        name = body.__name__.rstrip("_")
        at = f"{body.__code__.co_filename}:{body.__code__.co_firstlineno}"
        if name in self.actions:
            raise fail(f"action `{name}` is already declared", at)
        params: list[Term | Function[Any]] = []
        for parameter in inspect.signature(body).parameters.values():
            if parameter.name in functions:
                domain, to = functions[parameter.name]
                params.append(Function(parameter.name, domain, to, "param"))
                continue
            sort = _annotation(body, parameter.name)
            if not (isinstance(sort, type) and issubclass(sort, (Sort, Int, Bool))):
                raise fail(f"parameter `{parameter.name}` of action `{name}` needs a sort as its annotation", at)
            params.append(bound(sort, parameter.name))
        with _record(f"{self.name}.{name}") as recorder:
            body(*params)
        self.actions[name] = Action(
            name,
            inspect.cleandoc(body.__doc__ or ""),
            tuple(params),
            tuple(recorder.guard),
            tuple(recorder.updates),
            at,
        )
        return body

    def _property(self, role: str, id: str) -> Callable[[P], P]:
        def declare(body: P) -> P:
            at = f"{body.__code__.co_filename}:{body.__code__.co_firstlineno}"
            if not id.startswith(f"{self.name}."):
                raise fail(f"property id {id!r} must begin with `{self.name}.`", at)
            if id in self.properties:
                raise fail(f"property {id!r} is already declared", at)
            formula = lift(body())
            if not isinstance(formula, Bool):
                raise fail(f"property {id!r} is {formula.sort.__name__}, wanted Bool", at)
            if role == "assumption" and any(t.op == "apply" and t.data[0].kind == "var" for t in walk(formula)):
                raise fail(f"assumption {id!r} speaks of state: only constants may be assumed about", at)
            if role != "step":
                _only_now(formula, f"property {id!r}")
            self.properties[id] = Property(id, inspect.cleandoc(body.__doc__ or ""), formula, role, at)
            return body

        return declare

    def assume(self, id: str) -> Callable[[P], P]:
        """A formula over the constants on which every proof rests."""
        return self._property("assumption", id)

    def invariant(self, id: str) -> Callable[[P], P]:
        """A formula that holds in every reachable state."""
        return self._property("invariant", id)

    def lemma(self, id: str) -> Callable[[P], P]:
        """An invariant whose purpose is to make others inductive."""
        return self._property("lemma", id)

    def step_property(self, id: str) -> Callable[[P], P]:
        """A formula over a state and the next one (``f.next(x)``) that holds of every step."""
        return self._property("step", id)

    def reachable(self, id: str) -> Callable[[P], P]:
        """A formula that must hold in some reachable state: no proof is vacuous."""
        return self._property("reachable", id)

    def variant(
        self, id: str, over: type[Sort], *, decreases: tuple[str, ...]
    ) -> Callable[[Callable[[Any], tuple[Bool, ...]]], None]:
        """A termination measure: the body gives, for an element, its membership in each set of the tuple."""

        def declare(body: Callable[[Any], tuple[Bool, ...]]) -> None:
            at = f"{body.__code__.co_filename}:{body.__code__.co_firstlineno}"
            for name in decreases:
                if name not in self.actions:
                    raise fail(f"variant {id!r} names an unknown action `{name}`", at)
            element = bound(over, "x")
            self.variants[id] = Variant(
                id, inspect.cleandoc(body.__doc__ or ""), (element,), tuple(body(element)), decreases, at
            )

        return declare

    def without(self, **changes: Any) -> Spec:
        """A copy in which some attribute dictionaries are replaced (used to make mutants)."""
        copy = Spec(self.name, self.doc)
        for field in ("constants", "variables", "actions", "properties", "variants"):
            setattr(copy, field, dict(changes.get(field, getattr(self, field))))
        return copy


def _annotation(body: Callable[..., Any], name: str) -> Any:
    raw = body.__annotations__.get(name)
    if not isinstance(raw, str):
        return raw
    try:
        closure = inspect.getclosurevars(body)
        return eval(raw, {**body.__globals__, **closure.nonlocals})
    except NameError:
        return typing.cast(Any, raw)


def formals_of(action: Action) -> tuple[str, ...]:
    """The names of an action's parameters, in order."""
    return tuple(p.name if isinstance(p, Function) else cast(str, p.data[0]) for p in action.params)
