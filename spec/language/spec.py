"""Declaring a spec: each method checks what it is given, and adds to one of the public attributes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast, overload

import attrs

from mtpo.spec.language.bodies import Variable, record
from mtpo.spec.language.checks import (
    NAME,
    NAME_IS,
    SortNames,
    annotation,
    call,
    fresh_id,
    fresh_name,
    in_scope,
    of_actions,
    only_now,
    place_of,
    typed,
    with_id,
)
from mtpo.spec.language.declarations import Action, Ending, Property, Variant
from mtpo.spec.language.enabling import actions_in, with_guards
from mtpo.spec.language.substitution import refutation
from mtpo.spec.language.terms import Bool, Function, Int, Sort, SpecError, Term, bound, fail, lift, walk
from mtpo.spec.study import Studied

R = TypeVar("R", bound=Term)
F = TypeVar("F", bound=Callable[..., None])
P = TypeVar("P", bound=Callable[..., Bool])


_METHODS: Final = {"assumption": "assume", "step": "step_property"}
"""What declares a property, where it is not named like its role."""


def function(*domain: type[Term], to: type[R] | None = None) -> tuple[tuple[type[Term], ...], type[Term]]:
    """The type of a function-valued action parameter; without ``to`` a relation."""
    return domain, to or Bool


class Spec(Studied):
    """A model: what it is made of is in the public attributes, all in order of declaration.

    Its name, and those of its properties and clauses, are of letters, digits, ``_`` and ``-``: files are named by them.
    """

    def __init__(self, name: str, doc: str = "") -> None:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise fail(f"a spec is named with {NAME_IS}, found {name!r}")
        self.name = name
        self.doc = inspect.cleandoc(doc)
        self.constants: dict[str, Function[Any]] = {}
        self.variables: dict[str, Variable[Any]] = {}
        self.actions: dict[str, Action] = {}
        self.properties: dict[str, Property] = {}
        self.variants: dict[str, Variant] = {}
        self.endings: dict[str, Ending] = {}
        self.sort_names = SortNames()

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
        fresh_name(self, name, *domain, to)
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
        fresh_name(self, name, *domain, to)
        formals = tuple(bound(sort, f"x{i}") for i, sort in enumerate(domain))
        value = lift(call(init, formals, f"the initial value of `{name}`"))
        if value.sort is not to:
            raise fail(f"sort mismatch: the initial value of `{name}` is {value.sort.__name__}, wanted {to.__name__}")
        only_now(value, f"the initial value of `{name}`")
        in_scope(self, value, f"the initial value of `{name}`", formals)
        self.variables[name] = symbol = Variable[Any](name, domain, to, "var", doc, value, formals)
        return symbol

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
        at = place_of(body, "an action")
        name = body.__name__.rstrip("_")
        if name in self.actions:
            raise fail(f"action `{name}` is already declared", at)
        if f"{self.name}.{name}" in self.claims:
            raise fail(f"action `{name}` has the id of a property: give it another name", at)
        parameters = inspect.signature(body).parameters
        if more := [each for each in functions if each not in parameters]:
            raise fail(f"action `{name}` has no parameter `{more[0]}` that could be a function", at)
        params: list[Term | Function[Any]] = []
        for parameter in parameters.values():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise fail(
                    f"action `{name}` has as many parameters as are written: `{parameter}` may be any number", at
                )
            if parameter.name in functions:
                if not isinstance(functions[parameter.name], tuple):
                    raise fail(
                        f"parameter `{parameter.name}` of action `{name}`: write `function(...)` for its type", at
                    )
                domain, to = functions[parameter.name]
                self.sort_names.finite(f"parameter `{parameter.name}` of action `{name}`", *domain, to, at=at)
                params.append(Function(parameter.name, domain, to, "param"))
                continue
            sort = annotation(body, parameter.name)
            if not (isinstance(sort, type) and issubclass(sort, (Sort, Int, Bool))):
                raise fail(f"parameter `{parameter.name}` of action `{name}` needs a sort as its annotation", at)
            self.sort_names.distinct(sort, at)
            params.append(bound(sort, parameter.name))
        with record(self, f"{self.name}.{name}", tuple(params)) as recorder:
            body(*params)
        action = Action(
            name,
            inspect.cleandoc(body.__doc__ or ""),
            tuple(params),
            tuple(recorder.guard),
            tuple(recorder.updates),
            at,
        )
        actions = {**self.actions, name: action}
        self.properties |= {p.id: _refuted(p, actions) for p in self.properties.values() if p.refutes is not None}
        self.actions[name] = action
        return body

    def _property(self, role: str, id: str, *, refuted: bool = False, derived: bool = False) -> Callable[[P], P]:
        with_id(self, "refuted" if refuted else _METHODS.get(role, role), id)

        def declare(body: P) -> P:
            at = place_of(body, f"property {id!r}")
            fresh_id(self, id, at)
            written = lift(call(body, (), f"property {id!r}", at))
            if not isinstance(written, Bool):
                raise fail(f"property {id!r} is {written.sort.__name__}, wanted Bool", at)
            formula = with_guards(written, self.actions) if (asks := actions_in(written)) else written
            if role == "assumption" and any(t.op == "apply" and t.data[0].kind == "var" for t in walk(formula)):
                raise fail(f"assumption {id!r} speaks of state: only constants may be assumed about", at)
            if role != "step" and not refuted:
                only_now(formula, f"property {id!r}")
            in_scope(self, formula, f"property {id!r}", (), at)
            goal = refutation(formula, self.actions.values(), at) if refuted else formula
            in_scope(self, goal, f"property {id!r}", (), at)
            claim = formula if refuted else None
            doc = inspect.cleandoc(body.__doc__ or "")
            self.properties[id] = Property(id, doc, goal, role, at, claim, written if asks else None, derived)
            return body

        return declare

    def enabled(self, action: str, *elements: Term, **functions: Callable[..., Any]) -> Bool:
        """That an action can be taken with these elements and ``functions``, and some for those that are left out: in a
        property, which says so of whatever guard the action has, so that one that is too strong refutes it."""
        if not isinstance(action, str):
            raise fail(f"enabled wants the name of an action, found {action!r}")
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
            f.name: typed(f, functions[f.name], f"enabled: `{f.name}` of `{action}`")
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

    def variant(
        self, id: str, over: type[Sort], *, decreases: tuple[str, ...], raised_by: tuple[str, ...] = ()
    ) -> Callable[[Callable[[Any], tuple[Bool, ...]]], None]:
        """A termination measure: the body gives, for an element, its membership in each set of the tuple.

        The actions of ``decreases`` make it smaller, no other but those of ``raised_by`` greater."""

        with_id(self, "variant", id)

        def declare(body: Callable[[Any], tuple[Bool, ...]]) -> None:
            at = place_of(body, f"variant {id!r}")
            fresh_id(self, id, at)
            of_actions(self, f"variant {id!r}", at, decreases=decreases, raised_by=raised_by)
            if both := [name for name in decreases if name in raised_by]:
                raise fail(f"variant {id!r}: `{both[0]}` can't decrease it and be among those that raise it", at)
            if not (isinstance(over, type) and issubclass(over, (Sort, Bool))):
                found = "Int, of which there is no end" if over is Int else repr(over)
                raise fail(f"variant {id!r} is over elements of a sort, so that its sets are finite, found {found}", at)
            self.sort_names.distinct(over, at)
            element = bound(over, "x")
            sets = call(body, (element,), f"variant {id!r}", at)
            if not (isinstance(sets, tuple) and sets and all(isinstance(inside, Bool) for inside in sets)):
                raise fail(f"variant {id!r} wants a tuple of Bool, one for each set: `return (...,)`", at)
            for inside in sets:
                only_now(inside, f"variant {id!r}")
                in_scope(self, inside, f"variant {id!r}", (element,), at)
            doc = inspect.cleandoc(body.__doc__ or "")
            self.variants[id] = Variant(id, doc, (element,), sets, decreases, raised_by, at)

        return declare

    def ends(self, id: str, *, but: tuple[str, ...] = ()) -> Callable[[Callable[[], None]], None]:
        """That no run goes on for ever, as the variants together show: each action but those of ``but`` is taken
        finitely often. The body is its English."""

        with_id(self, "ends", id)

        def declare(body: Callable[[], None]) -> None:
            at = place_of(body, f"ending {id!r}")
            fresh_id(self, id, at)
            of_actions(self, f"ending {id!r}", at, but=but)
            if {*self.actions} <= {*but}:
                raise fail(f"ending {id!r} claims nothing: each action may be taken for ever", at)
            self.endings[id] = Ending(id, inspect.cleandoc(body.__doc__ or ""), but, at)

        return declare

    def without(self, **changes: Any) -> Spec:
        """A copy in which some attribute dictionaries are replaced (used to make mutants). What is said of an action's
        guard is said of the one that it has there; a property goes where no formula says it of that."""
        copy = Spec(self.name, self.doc)
        for field in ("constants", "variables", "actions", "properties", "variants", "endings"):
            setattr(copy, field, dict(changes.get(field, getattr(self, field))))
        if "actions" in changes:
            others = {*self.actions, *copy.actions}
            changed = {name for name in others if copy.actions.get(name) is not self.actions.get(name)}
            for id, p in list(copy.properties.items()):
                asks = p.enables is not None and p is self.properties.get(id) and changed & actions_in(p.enables)
                try:
                    if p.refutes is not None:
                        copy.properties[id] = _refuted(p, copy.actions)
                    elif asks and p.enables is not None:
                        copy.properties[id] = attrs.evolve(p, formula=with_guards(p.enables, copy.actions))
                except SpecError:
                    del copy.properties[id]
        copy.sort_names = self.sort_names.copy()
        return copy


def _refuted(p: Property, actions: dict[str, Action]) -> Property:
    """What must be refuted, by these actions: what is to be seen of a state before a step depends on them."""
    claim = cast(Bool, p.refutes) if p.enables is None else with_guards(p.enables, actions)
    return attrs.evolve(p, refutes=claim, formula=refutation(claim, actions.values(), p.at))
