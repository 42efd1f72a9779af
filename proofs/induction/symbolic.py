"""The symbolic interpretation: a spec as z3 terms over uninterpreted sorts, for any number of elements.

State variables are uninterpreted functions; the state after an action is obtained by substitution, never by frame
axioms. An ordered sort has a total order given by axioms.

With ``finite`` sizes the sorts are enumerations and quantifiers are unrolled: the symbolic, finite interpretation, in
which every question has an answer and a counterexample can be read back as a concrete instance, state and step.

Names share one space with those of the spec, which are identifiers: what is an action's has one ``!`` in its name, what
is made here ``!!``, so nothing of a spec is captured by a quantifier or taken for an order.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import z3

from mtpo.spec.concrete import Instance, Step
from mtpo.spec.language import Action, Bool, Function, Int, Property, Sort, Spec, Term, Variant

_WORDS: Final = """
    Array Bag BitVec Bool FiniteField Float128 Float16 Float32 Float64 FloatingPoint Int RNA RNE RTN RTP RTZ Real RegLan
    Relation RoundingMode Seq Sequence Set String Table Tuple UnitTuple
    _ abs and arccos arccot arccsc arcsec arcsin arctan as assert bag choice concat cos cot csc define distinct div
    div_total divisible emp emptybag emptyset eqrange exists exp extract false forall fp iand if iff implies int_pow2
    int_to_bv is is_int ite lambda let map match mod mod_total none not nullable or par pi piand pop pow2 pto push re
    repeat rotate_left rotate_right sec select sep seq set sign_extend sin singleton sqrt store str subset tan to_int
    to_real true tuple union unit wand xor zero_extend
"""
_HEADS: Final = ("bv", "ubv", "sbv", "int2bv", "nat2bv", "to_fp", "roundNearest", "roundToward")

RESERVED: Final = frozenset(_WORDS.split())
"""Identifiers that mean something in SMT-LIB, to z3 or to cvc5; others do by their beginning."""


def apart(name: str) -> str:
    """The name of a symbol or sort of a spec, never one that has a meaning in SMT-LIB."""
    return f"{name}!" if name in RESERVED or name.startswith(_HEADS) else name


State = Mapping[str, Callable[..., z3.ExprRef]]
"""For each variable, its value at given arguments."""


class Symbolic:
    """z3 sorts, symbols and formulas of a spec. One context per object, so that objects may live in threads."""

    def __init__(self, spec: Spec, finite: Mapping[type[Sort], int] | None = None) -> None:
        self.spec = spec
        self.finite = finite
        self.context = z3.Context()
        truth = [z3.BoolVal(False, self.context), z3.BoolVal(True, self.context)]
        self.elements: dict[type[Term], list[z3.ExprRef]] = {Bool: truth}
        self.sorts: dict[type[Term], z3.SortRef] = {Bool: z3.BoolSort(self.context), Int: z3.IntSort(self.context)}
        for sort in spec.sorts:
            if finite is None:
                self.sorts[sort] = z3.DeclareSort(apart(sort.__name__), self.context)
            else:
                names = [f"{sort.__name__}!{i}" for i in range(finite[sort])]
                self.sorts[sort], self.elements[sort] = z3.EnumSort(apart(sort.__name__), names, self.context)
        self.orders = {
            sort: z3.Function(f"le!!{sort.__name__}", z, z, self.sorts[Bool])
            for sort, z in self.sorts.items()
            if issubclass(sort, Sort) and sort.ordered
        }
        self.constants = {name: self.declare(symbol) for name, symbol in spec.constants.items()}
        self.before: dict[str, z3.FuncDeclRef] = {name: self.declare(v) for name, v in spec.variables.items()}

    def declare(self, symbol: Function[Any], suffix: str = "") -> z3.FuncDeclRef:
        """The z3 function of a symbol."""
        name = symbol.name + suffix if suffix else apart(symbol.name)
        return z3.Function(name, *(self.sorts[s] for s in symbol.domain), self.sorts[symbol.range])

    def axioms(self) -> list[z3.BoolRef]:
        """Total orders and the assumptions of the spec."""
        return self.orders_axioms() + [self.formula(p.formula, self.before) for p in self.spec.role("assumption")]

    def orders_axioms(self) -> list[z3.BoolRef]:
        """Ordered sorts have total orders."""
        found = []
        for sort, le in self.orders.items():
            if self.finite is not None:
                row = list(enumerate(self.elements[sort]))
                found += [le(a, b) if i <= j else z3.Not(le(a, b)) for i, a in row for j, b in row]
                continue
            x, y, w = (z3.Const(f"{n}!!{sort.__name__}", self.sorts[sort]) for n in "xyw")
            found += [
                z3.ForAll([x], le(x, x)),
                z3.ForAll([x, y], z3.Implies(z3.And(le(x, y), le(y, x)), x == y)),
                z3.ForAll([x, y, w], z3.Implies(z3.And(le(x, y), le(y, w)), le(x, w))),
                z3.ForAll([x, y], z3.Or(le(x, y), le(y, x))),
            ]
        return found

    # -- terms ---------------------------------------------------------------------------------------------------

    def formula(
        self, term: Term, state: State, after: State | None = None, env: Mapping[Any, Any] | None = None
    ) -> Any:
        """The z3 term; ``env`` maps bound variables to z3 terms and function parameters to z3 functions."""
        scope = env or {}
        match term.op:
            case "lit":
                return (
                    z3.BoolVal(term.data, self.context)
                    if isinstance(term.data, bool)
                    else z3.IntVal(term.data, self.context)
                )
            case "bound":
                return scope[term]
            case "forall" | "exists":
                return self._quantified(term, state, after, scope)
        args = [self.formula(arg, state, after, scope) for arg in term.args]
        match term.op:
            case "apply":
                symbol, primed = term.data
                if symbol.kind == "const":
                    return self.constants[symbol.name](*args)
                if symbol.kind == "param":
                    return scope[symbol](*args)
                row = after if primed else state
                assert row is not None, "a step property needs the next state"
                return row[symbol.name](*args)
            case "not":
                return z3.Not(args[0])
            case "and":
                return z3.And(*args) if args else z3.BoolVal(True, self.context)
            case "or":
                return z3.Or(*args) if args else z3.BoolVal(False, self.context)
            case "eq":
                return args[0] == args[1]
            case "lt" | "le":
                sort = term.args[0].sort
                if sort is Int:
                    return args[0] < args[1] if term.op == "lt" else args[0] <= args[1]
                less = self.orders[cast(type[Sort], sort)](*args)
                return less if term.op == "le" else z3.And(less, args[0] != args[1])
            case "ite":
                return z3.If(*args)
            case "add":
                return args[0] + args[1]
            case "sub":
                return args[0] - args[1]
            case _:
                return args[0] * args[1]

    def _quantified(self, term: Term, state: State, after: State | None, scope: Mapping[Any, Any]) -> Any:
        quantify = z3.ForAll if term.op == "forall" else z3.Exists
        if self.finite is None:
            names = {v: z3.Const(f"{v.data[0]}!!{v.data[1]}", self.sorts[v.sort]) for v in term.data}
            return quantify(list(names.values()), self.formula(term.args[0], state, after, {**scope, **names}))
        points = itertools.product(*(self.elements[v.sort] for v in term.data))
        parts = [
            self.formula(term.args[0], state, after, {**scope, **dict(zip(term.data, point, strict=True))})
            for point in points
        ]
        return z3.And(parts) if term.op == "forall" else z3.Or(parts)

    # -- steps ---------------------------------------------------------------------------------------------------

    def parameters(self, action: Action, tag: str = "") -> dict[Any, Any]:
        """Fresh z3 constants and functions for the parameters of an action."""
        env: dict[Any, Any] = {}
        for param in action.params:
            if isinstance(param, Function):
                env[param] = self.declare(param, f"!{action.name}{tag}")
            else:
                env[param] = z3.Const(f"{param.data[0]}!{action.name}{tag}", self.sorts[param.sort])
        return env

    def guard(self, action: Action, state: State, env: Mapping[Any, Any]) -> list[z3.BoolRef]:
        """The guard clauses."""
        return [self.formula(clause.formula, state, None, env) for clause in action.guard]

    def after(self, action: Action, state: State, env: Mapping[Any, Any]) -> dict[str, Callable[..., z3.ExprRef]]:
        """The state after the action, by substitution."""
        result: dict[str, Callable[..., z3.ExprRef]] = dict(state)
        for update in action.updates:
            result[update.variable.name] = self._updated(result[update.variable.name], update, state, dict(env))
        return result

    def _updated(self, old: Callable[..., z3.ExprRef], update: Any, state: State, env: dict[Any, Any]) -> Any:
        if update.whole:
            return lambda *args: self.formula(
                update.value, state, None, {**env, **dict(zip(update.args, args, strict=True))}
            )
        point = [self.formula(arg, state, None, env) for arg in update.args]
        new = self.formula(update.value, state, None, env)

        def changed(*args: z3.ExprRef) -> z3.ExprRef:
            here = [a == p for a, p in zip(args, point, strict=True)]
            return z3.If(z3.And(*here), new, old(*args)) if here else new

        return changed

    def bounded(self, variant: Variant, action: str, after: State) -> z3.BoolRef:
        """What a variant asks of a step of an action. Lexicographically: some set becomes strictly smaller and those
        before it do not grow; or, of an action that need not decrease it, none grows."""
        x = variant.over[0]
        shrinks, smaller = [], []
        for inside in variant.sets:
            if self.finite is None:
                name = z3.Const("x!!variant", self.sorts[x.sort])
                env = {x: name}
                now, then = self.formula(inside, self.before, None, env), self.formula(inside, after, None, env)
                shrinks.append(z3.ForAll([name], z3.Implies(then, now)))
                smaller.append(z3.Exists([name], z3.And(now, z3.Not(then))))
                continue
            pairs = [
                (self.formula(inside, self.before, None, {x: e}), self.formula(inside, after, None, {x: e}))
                for e in self.elements[x.sort]
            ]
            shrinks.append(z3.And([z3.Implies(then, now) for now, then in pairs]))
            smaller.append(z3.Or([z3.And(now, z3.Not(then)) for now, then in pairs]))
        falls = [z3.And(*shrinks[: i + 1], smaller[i]) for i in range(len(shrinks))]
        return z3.Or([*falls, *(() if action in variant.decreases else (z3.And(shrinks),))])

    def initial(self) -> list[z3.BoolRef]:
        """The variables have their initial values."""
        found = []
        for name, variable in self.spec.variables.items():
            if self.finite is not None:
                for point in itertools.product(*(self.elements[s] for s in variable.domain)):
                    env = dict(zip(variable.formals, point, strict=True))
                    found.append(self.before[name](*point) == self.formula(variable.init, self.before, None, env))
                continue
            args = [z3.Const(f"i{k}!!{name}", self.sorts[s]) for k, s in enumerate(variable.domain)]
            env = dict(zip(variable.formals, args, strict=True))
            equation = self.before[name](*args) == self.formula(variable.init, self.before, None, env)
            found.append(z3.ForAll(args, equation) if args else equation)
        return found

    # -- finite pictures -----------------------------------------------------------------------------------------

    def read_back(
        self, model: z3.ModelRef, action: Action | None, env: Mapping[Any, Any]
    ) -> tuple[Instance, list[int], Step | None]:
        """The instance, state and step that a model of the finite interpretation describes."""
        assert self.finite is not None, "only finite models have a picture"

        def number(sort: type[Term], value: Any) -> int:
            if sort is Bool:
                return int(z3.is_true(value))
            if sort is Int:
                return int(value.as_long())
            return next(i for i, name in enumerate(self.elements[sort]) if z3.eq(name, value))

        def table(symbol: Function[Any], declared: Callable[..., Any]) -> list[int]:
            points = itertools.product(*(self.elements[s] for s in symbol.domain))
            return [number(symbol.range, model.eval(declared(*point), model_completion=True)) for point in points]

        constants = {name: table(symbol, self.constants[name]) for name, symbol in self.spec.constants.items()}
        instance = Instance(self.spec, self.finite, constants)
        state = [v for name, symbol in self.spec.variables.items() for v in table(symbol, self.before[name])]
        if action is None:
            return instance, state, None
        args = tuple(
            tuple(table(p, env[p]))
            if isinstance(p, Function)
            else number(p.sort, model.eval(env[p], model_completion=True))
            for p in action.params
        )
        return instance, state, Step(action.name, args)

    def hypotheses(self, properties: tuple[Property, ...]) -> list[z3.BoolRef]:
        """Properties of states, of the state before the step."""
        return [self.formula(p.formula, self.before) for p in properties]
