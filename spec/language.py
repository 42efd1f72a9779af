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
import re
import typing
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Final, Generic, TypeVar, cast, overload

import attrs

from mtpo.spec.enabling import actions_in, with_guards
from mtpo.spec.study import Studied
from mtpo.spec.substitution import refutation
from mtpo.spec.terms import (
    FALSE,
    MAX_DEPTH,
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
    too_deep,
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
        """Change one point, in the body of an action. Where points coincide (``f[x]``, ``f[y]``, and x is y) the last
        counts."""
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
    """A named formula. ``role``: assumption, invariant, lemma (an invariant that serves the proof), step, reachable.

    ``refutes``: of an expected counterexample the claim that must fail; ``formula`` then says of a state that it does.
    ``enables``: one that says that actions are enabled, as it was written; ``formula`` has their guards.
    ``derived``: it follows from the other invariants in every state, so that it need not be shown of each action.
    """

    id: str
    doc: str
    formula: Bool
    role: str
    at: str
    refutes: Bool | None = None
    enables: Bool | None = None
    derived: bool = False


@attrs.frozen(eq=False)
class Variant:
    """A termination measure: a lexicographic tuple of sets, given by predicates over ``over``.

    Each action named in ``decreases`` leaves the sets before some position unchanged or smaller and makes the set at
    that position strictly smaller. So does every other action, or leaves all of them unchanged or smaller, but those
    in ``raised_by``. Since the sets are finite in any run, the actions that decrease it are taken finitely often if
    those that raise it are.
    """

    id: str
    doc: str
    over: tuple[Term, ...]
    sets: tuple[Bool, ...]
    decreases: tuple[str, ...]
    raised_by: tuple[str, ...]
    at: str

    def bounds(self, action: str) -> bool:
        """Whether something is to be shown of an action: it decreases the measure, or does not raise it."""
        return action not in self.raised_by


@attrs.frozen(eq=False)
class Ending:
    """That no run goes on for ever: every action but those of ``but`` is taken finitely often, by the variants."""

    id: str
    doc: str
    but: tuple[str, ...]
    at: str


@attrs.define
class _Recorder:
    """What the body of an action being declared has said so far."""

    spec: Spec
    prefix: str
    params: tuple[Term | Function[Any], ...]
    guard: list[Clause] = attrs.Factory(list)
    updates: list[Update] = attrs.Factory(list)

    def clause(self, name: str, formula: Any) -> None:
        term = lift(formula)
        if not isinstance(term, Bool):
            raise fail(f"require({name!r}) wants a Bool, found {term.sort.__name__}")
        _only_now(term, f"guard clause {name!r}")
        _in_scope(self.spec, term, f"guard clause {name!r}", self.params)
        if self.updates:
            raise fail(f"require({name!r}) after an update: a guard speaks of the state before the step, put it first")
        if not _NAME.fullmatch(name):
            raise fail(f"require({name!r}): a clause is named with {_NAME_IS}")
        if any(clause.id == f"{self.prefix}.{name}" for clause in self.guard):
            raise fail(f"two clauses named {name!r} in one action")
        self.guard.append(Clause(f"{self.prefix}.{name}", term, where()))

    def point(self, variable: Variable[Any], args: tuple[Term, ...], value: Any) -> None:
        self._add(variable, args, value, whole=False)

    def whole(self, variable: Variable[Any], value: Any) -> None:
        if callable(value) and not isinstance(value, Term):
            given = _call(value, variable.formals, f"`{variable.name}.becomes`")
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
        _only_now(term, what)
        _in_scope(self.spec, variable(*args), what, (*self.params, *variable.formals))
        _in_scope(self.spec, term, what, (*self.params, *variable.formals))
        if whole and any(update.variable is variable for update in self.updates):
            raise fail(f"`{variable.name}.becomes` after another update of it would hide that one")
        if not whole and any(u.variable is variable and _same_point(u, args) for u in self.updates):
            raise fail(f"`{show(variable(*args))}` is changed twice in one action: only the last would count")
        self.updates.append(Update(variable, args, term, whole, where()))


def _same_point(update: Update, args: tuple[Term, ...]) -> bool:
    """Whether an update is of a point written as ``args``; what is only equal in some states is not seen here."""
    return not update.whole and [show(a) for a in update.args] == [show(a) for a in args]


_current: ContextVar[_Recorder | None] = ContextVar("mtpo_spec_action", default=None)


def _recording(what: str) -> _Recorder:
    recorder = _current.get()
    if recorder is None:
        raise fail(f"{what} is for the body of an action")
    return recorder


@contextlib.contextmanager
def _record(spec: Spec, prefix: str, params: tuple[Term | Function[Any], ...]) -> Iterator[_Recorder]:
    recorder = _Recorder(spec, prefix, params)
    token = _current.set(recorder)
    try:
        yield recorder
    finally:
        _current.reset(token)


def _only_now(term: Term, what: str) -> None:
    for part in walk(term):
        if part.op == "apply" and part.data[1]:
            raise fail(f"{what} reads the next state, `{show(part)}`: only a step property may")


def _in_scope(spec: Spec, term: Term, what: str, names: Sequence[Term | Function[Any]], at: str | None = None) -> None:
    """Every symbol is of this spec or in ``names``, every bound variable in ``names`` or under its quantifier."""
    if term.depth > MAX_DEPTH:
        raise too_deep(at)
    known = {id(s) for s in (*spec.constants.values(), *spec.variables.values(), *names)}

    def look(part: Term, scope: frozenset[int]) -> None:
        if part.op == "apply" and id(part.data[0]) not in known:
            raise fail(f"{what} mentions `{part.data[0].name}`, which spec `{spec.name}` does not declare", at)
        if part.op == "bound" and id(part) not in known | scope:
            raise fail(f"{what} uses `{part.data[0]}` outside the quantifier or action that binds it", at)
        if part.op == "enabled":
            raise fail(f"{what} says that `{part.data[0]}` is enabled, which only properties can", at)
        inner = scope
        if part.op in {"forall", "exists"}:
            inner = scope | {id(v) for v in part.data}
            for v in part.data:
                spec._distinct(v.sort, at)
        for arg in part.args:
            look(arg, inner)

    look(term, frozenset())


def _call(body: Any, args: Sequence[Term], what: str, at: str | None = None) -> Any:
    """The body of a declaration applied to its arguments."""
    if isinstance(body, Function):
        return body(*args)
    try:
        inspect.signature(body).bind(*args)
    except TypeError:
        raise fail(f"{what} wants a function of {len(args)} argument(s)", at) from None
    return body(*args)


def require(name: str, formula: Bool) -> None:
    """A named conjunct of the guard of the action being declared."""
    _recording("require").clause(name, formula)


def function(*domain: type[Term], to: type[R] | None = None) -> tuple[tuple[type[Term], ...], type[Term]]:
    """The type of a function-valued action parameter; without ``to`` a relation."""
    return domain, to or Bool


F = TypeVar("F", bound=Callable[..., None])
P = TypeVar("P", bound=Callable[..., Bool])

_ROLES: Final = ("assumption", "invariant", "lemma", "step", "reachable")


_NAME: Final = re.compile(r"\w[\w-]*")
_NAME_IS: Final = "letters, digits, _ and -"


class Spec(Studied):
    """A model: what it is made of is in the public attributes, all in order of declaration.

    Its name, and those of its properties and clauses, are of letters, digits, ``_`` and ``-``: files are named by them.
    """

    def __init__(self, name: str, doc: str = "") -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise fail(f"a spec is named with {_NAME_IS}, found {name!r}")
        self.name = name
        self.doc = inspect.cleandoc(doc)
        self.constants: dict[str, Function[Any]] = {}
        self.variables: dict[str, Variable[Any]] = {}
        self.actions: dict[str, Action] = {}
        self.properties: dict[str, Property] = {}
        self.variants: dict[str, Variant] = {}
        self.endings: dict[str, Ending] = {}
        self._named: dict[str, type[Term]] = {"Bool": Bool, "Int": Int}

    def __repr__(self) -> str:
        return f"<Spec {self.name}: {len(self.actions)} actions, {len(self.properties)} properties>"

    @property
    def sorts(self) -> tuple[type[Sort], ...]:
        """The user sorts that constants, variables, actions and properties mention."""
        mentioned: list[type[Term]] = []
        formulas: list[Term] = [p.formula for p in self.properties.values()]
        for symbol in (*self.constants.values(), *self.variables.values()):
            mentioned += (*symbol.domain, symbol.range)
        for action in self.actions.values():
            for param in action.params:
                mentioned += (param.sort,) if isinstance(param, Term) else (*param.domain, param.range)
            formulas += (*(c.formula for c in action.guard), *(u.value for u in action.updates))
        for variant in self.variants.values():
            mentioned += (x.sort for x in variant.over)
            formulas += variant.sets
        formulas += (v.init for v in self.variables.values())
        mentioned += (v.sort for f in formulas for t in walk(f) if t.op in {"forall", "exists"} for v in t.data)
        return tuple(dict.fromkeys(sort for sort in mentioned if issubclass(sort, Sort)))

    @property
    def claims(self) -> dict[str, Property | Variant | Ending]:
        """All that is claimed of the spec, by id: properties, variants, endings."""
        return {**self.properties, **self.variants, **self.endings}

    @property
    def basis(self) -> tuple[Property, ...]:
        """The invariants and lemmas that are inductive together; what is derived follows from them."""
        return tuple(p for p in self.role("invariant", "lemma") if not p.derived)

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
        self._fresh(name, *domain, to)
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
        self._fresh(name, *domain, to)
        formals = tuple(bound(sort, f"x{i}") for i, sort in enumerate(domain))
        value = lift(_call(init, formals, f"the initial value of `{name}`"))
        if value.sort is not to:
            raise fail(f"sort mismatch: the initial value of `{name}` is {value.sort.__name__}, wanted {to.__name__}")
        _only_now(value, f"the initial value of `{name}`")
        _in_scope(self, value, f"the initial value of `{name}`", formals)
        self.variables[name] = symbol = Variable[Any](name, domain, to, "var", doc, value, formals)
        return symbol

    def _fresh(self, name: str, *sorts: Any) -> None:
        """A name for a symbol over sorts, the last of which is that of its values."""
        if not name.isidentifier():
            raise fail(f"{name!r} is not an identifier")
        if unicodedata.normalize("NFKC", name) != name:
            raise fail(f"{name!r} is read as {unicodedata.normalize('NFKC', name)!r} in Python: write that")
        self._finite(f"`{name}`", *sorts)
        if name in self.constants or name in self.variables:
            raise fail(f"`{name}` is already declared")

    def _finite(self, what: str, *sorts: Any, at: str | None = None) -> None:
        """Sorts of arguments and, last, of values, of a symbol."""
        for sort in sorts:
            if not (isinstance(sort, type) and issubclass(sort, (Sort, Int, Bool))):
                raise fail(f"{what} is over sorts (classes derived from Sort, Int, Bool), found {sort!r}", at)
            self._distinct(sort, at)
        if Int in sorts[:-1]:
            raise fail(f"{what} has an argument that is an Int, and would have no end: only its values may be Int", at)

    def _distinct(self, sort: type[Term], at: str | None = None) -> None:
        """No two sorts of one name, which no report could tell apart."""
        if self._named.setdefault(sort.__name__, sort) is not sort:
            raise fail(f"two sorts are named {sort.__name__}: give one of them another name", at)

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
                self._finite(f"parameter `{parameter.name}` of action `{name}`", *domain, to, at=at)
                params.append(Function(parameter.name, domain, to, "param"))
                continue
            sort = _annotation(body, parameter.name)
            if not (isinstance(sort, type) and issubclass(sort, (Sort, Int, Bool))):
                raise fail(f"parameter `{parameter.name}` of action `{name}` needs a sort as its annotation", at)
            self._distinct(sort, at)
            params.append(bound(sort, parameter.name))
        with _record(self, f"{self.name}.{name}", tuple(params)) as recorder:
            body(*params)
        action = Action(
            name,
            inspect.cleandoc(body.__doc__ or ""),
            tuple(params),
            tuple(recorder.guard),
            tuple(recorder.updates),
            at,
        )
        self.properties |= self._refuted_by({**self.actions, name: action})
        self.actions[name] = action
        return body

    def _fresh_id(self, id: str, at: str) -> None:
        if not id.startswith(f"{self.name}."):
            raise fail(f"property id {id!r} must begin with `{self.name}.`", at)
        if not all(_NAME.fullmatch(part) for part in id.split(".")):
            raise fail(f"property id {id!r}: an id is of names joined by dots, a name of {_NAME_IS}", at)
        if id in self.claims:
            raise fail(f"property {id!r} is already declared", at)

    def _property(self, role: str, id: str, *, refuted: bool = False, derived: bool = False) -> Callable[[P], P]:
        def declare(body: P) -> P:
            at = f"{body.__code__.co_filename}:{body.__code__.co_firstlineno}"
            self._fresh_id(id, at)
            written = lift(_call(body, (), f"property {id!r}", at))
            if not isinstance(written, Bool):
                raise fail(f"property {id!r} is {written.sort.__name__}, wanted Bool", at)
            formula = with_guards(written, self.actions) if (asks := actions_in(written)) else written
            if role == "assumption" and any(t.op == "apply" and t.data[0].kind == "var" for t in walk(formula)):
                raise fail(f"assumption {id!r} speaks of state: only constants may be assumed about", at)
            if role != "step" and not refuted:
                _only_now(formula, f"property {id!r}")
            _in_scope(self, formula, f"property {id!r}", (), at)
            goal = refutation(formula, self.actions.values(), at) if refuted else formula
            _in_scope(self, goal, f"property {id!r}", (), at)
            claim = formula if refuted else None
            doc = inspect.cleandoc(body.__doc__ or "")
            self.properties[id] = Property(id, doc, goal, role, at, claim, written if asks else None, derived)
            return body

        return declare

    def enabled(self, action: str, *elements: Term, **functions: Callable[..., Any]) -> Bool:
        """That an action can be taken with these elements and ``functions``, and some for those that are left out: in a
        property, which says so of whatever guard the action has, so that one that is too strong refutes it."""
        if action not in self.actions:
            raise fail(f"enabled: `{action}` is no action declared before; known: {', '.join(self.actions)}")
        wanted, known = self.actions[action].elements, [f.name for f in self.actions[action].functions]
        if more := [name for name in functions if name not in known]:
            raise fail(f"enabled: `{action}` has no function `{more[0]}`; it has: {', '.join(known) or 'none'}")
        given = tuple(map(lift, elements))
        if [term.sort for term in given] != [term.sort for term in wanted]:
            sorts = ", ".join(term.sort.__name__ for term in wanted)
            raise fail(f"enabled: `{action}` is taken with ({sorts})")
        values = {
            f.name: _typed(f, functions[f.name], f"enabled: `{f.name}` of `{action}`")
            for f in self.actions[action].functions
            if f.name in functions
        }
        return Bool("enabled", given, (action, values))

    def assume(self, id: str) -> Callable[[P], P]:
        """A formula over the constants on which every proof rests."""
        return self._property("assumption", id)

    def invariant(self, id: str, *, derived: bool = False) -> Callable[[P], P]:
        """A formula that holds in every reachable state. ``derived``: it follows from the other invariants, which is
        what is proven then, once, in place of one proof for each action."""
        return self._property("invariant", id, derived=derived)

    def lemma(self, id: str) -> Callable[[P], P]:
        """An invariant whose purpose is to make others inductive."""
        return self._property("lemma", id)

    def step_property(self, id: str) -> Callable[[P], P]:
        """A formula over a state and the next one (``f.next(x)``) that holds of every step."""
        return self._property("step", id)

    def reachable(self, id: str) -> Callable[[P], P]:
        """A formula that must hold in some reachable state: no proof is vacuous."""
        return self._property("reachable", id)

    def refuted(self, id: str) -> Callable[[P], P]:
        """An expected counterexample: a formula that must be false in some reachable state or, if it reads the next
        state (``f.next(x)``), of some step. It is a ``reachable`` formula: that of the states that refute it."""
        return self._property("reachable", id, refuted=True)

    def _refuted_by(self, actions: dict[str, Action]) -> dict[str, Property]:
        """What must be refuted, by these actions: what is to be seen of a state before a step depends on them."""
        found = {}
        for p in (p for p in self.properties.values() if p.refutes is not None):
            claim = cast(Bool, p.refutes) if p.enables is None else with_guards(p.enables, actions)
            found[p.id] = attrs.evolve(p, refutes=claim, formula=refutation(claim, actions.values(), p.at))
        return found

    def variant(
        self, id: str, over: type[Sort], *, decreases: tuple[str, ...], raised_by: tuple[str, ...] = ()
    ) -> Callable[[Callable[[Any], tuple[Bool, ...]]], None]:
        """A termination measure: the body gives, for an element, its membership in each set of the tuple.

        The actions of ``decreases`` make it smaller, no other but those of ``raised_by`` greater."""

        def declare(body: Callable[[Any], tuple[Bool, ...]]) -> None:
            at = f"{body.__code__.co_filename}:{body.__code__.co_firstlineno}"
            self._fresh_id(id, at)
            self._of_actions(f"variant {id!r}", at, decreases=decreases, raised_by=raised_by)
            if both := [name for name in decreases if name in raised_by]:
                raise fail(f"variant {id!r}: `{both[0]}` can't decrease it and be among those that raise it", at)
            if not (isinstance(over, type) and issubclass(over, (Sort, Bool))):
                found = "Int, of which there is no end" if over is Int else repr(over)
                raise fail(f"variant {id!r} is over elements of a sort, so that its sets are finite, found {found}", at)
            self._distinct(over, at)
            element = bound(over, "x")
            sets = _call(body, (element,), f"variant {id!r}", at)
            if not (isinstance(sets, tuple) and sets and all(isinstance(inside, Bool) for inside in sets)):
                raise fail(f"variant {id!r} wants a tuple of Bool, one for each set: `return (...,)`", at)
            for inside in sets:
                _only_now(inside, f"variant {id!r}")
                _in_scope(self, inside, f"variant {id!r}", (element,), at)
            doc = inspect.cleandoc(body.__doc__ or "")
            self.variants[id] = Variant(id, doc, (element,), sets, decreases, raised_by, at)

        return declare

    def ends(self, id: str, *, but: tuple[str, ...] = ()) -> Callable[[Callable[[], None]], None]:
        """That no run goes on for ever, as the variants together show: each action but those of ``but`` is taken
        finitely often. The body is its English."""

        def declare(body: Callable[[], None]) -> None:
            at = f"{body.__code__.co_filename}:{body.__code__.co_firstlineno}"
            self._fresh_id(id, at)
            self._of_actions(f"ending {id!r}", at, but=but)
            if {*self.actions} <= {*but}:
                raise fail(f"ending {id!r} claims nothing: each action may be taken for ever", at)
            self.endings[id] = Ending(id, inspect.cleandoc(body.__doc__ or ""), but, at)

        return declare

    def _of_actions(self, what: str, at: str, **given: tuple[str, ...]) -> None:
        """Names of actions."""
        for option, names in given.items():
            if isinstance(names, str):
                raise fail(f"{what}: {option} wants a tuple of actions: write ({names!r},)", at)
            for name in names:
                if name not in self.actions:
                    raise fail(f"{what} names an unknown action `{name}`", at)

    def without(self, **changes: Any) -> Spec:
        """A copy in which some attribute dictionaries are replaced (used to make mutants)."""
        copy = Spec(self.name, self.doc)
        for field in ("constants", "variables", "actions", "properties", "variants", "endings"):
            setattr(copy, field, dict(changes.get(field, getattr(self, field))))
        if "actions" in changes:
            copy.properties |= copy._refuted_by(copy.actions)
            others = {*self.actions, *copy.actions}
            changed = {name for name in others if copy.actions.get(name) is not self.actions.get(name)}
            copy.properties |= {
                id: attrs.evolve(p, formula=with_guards(p.enables, copy.actions))
                for id, p in copy.properties.items()
                if p.enables is not None
                and p.refutes is None
                and p is self.properties.get(id)
                and changed & actions_in(p.enables)
            }
        copy._named = dict(self._named)
        return copy


def _typed(function: Function[Any], body: Callable[..., Any], what: str) -> Callable[..., Term]:
    """A body that gives the values of a function, held to its sorts."""

    def value(*point: Term) -> Term:
        found = lift(_call(body, point, what))
        if found.sort is not function.range:
            raise fail(f"sort mismatch: {what} is {found.sort.__name__}, wanted {function.range.__name__}")
        return found

    if not callable(body):
        raise fail(f"{what} is a function of {len(function.domain)} argument(s), found {body!r}")
    value(*(bound(sort, "x") for sort in function.domain))
    return value


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
