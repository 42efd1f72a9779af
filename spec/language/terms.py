"""Terms: the expressions of the modelling language.

A term is a small immutable tree. Python operators build it, so a spec reads like Python: ``&``, ``|``, ``~`` and
:func:`implies` on :class:`Bool`; ``==``, ``!=`` on every sort; ``<``, ``<=`` on :class:`OrderedSort` and :class:`Int`;
``+``, ``-`` on :class:`Int`; :func:`forall`, :func:`exists` over sorts; :func:`ite`. The interpretations walk the tree:
:mod:`mtpo.spec.concrete` runs it on Python values, :mod:`mtpo.proofs.induction.symbolic` gives it to z3.

Nothing is evaluated here. Mistakes (a wrong sort, ``and`` instead of ``&``) raise :class:`SpecError` with the file and
line of the spec, not of this module.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar, cast, overload

import attrs

_LANGUAGE_FILES: Final = frozenset(map(str, Path(__file__).parent.glob("*.py")))
_PARENTHESES: Final = "& | ~ bind tighter than comparisons: write (p == q) & ~(r < s)"


class SpecError(Exception):
    """A mistake in a spec: ``FILE:LINE: what, and what to do``."""


def where() -> str:
    """``file:line`` of the innermost caller outside the language itself."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename in _LANGUAGE_FILES and frame.f_back is not None:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def fail(message: str, at: str | None = None) -> SpecError:
    """A :class:`SpecError` that names the place in the spec."""
    return SpecError(f"{at or where()}: {message}")


MAX_DEPTH: Final = 150
"""Parentheses in one another in the code of a term; CPython reads 200."""

_SLACK: Final = 10
"""What the interpretations may wrap around a formula of a spec."""

MAX_NODES: Final = 1_000_000
"""Nodes of a term; a part that is used twice counts twice."""

_PARENS: Final = {"lit": 0, "bound": 0, "eq": 2}
"""Parentheses that a node adds, where it is not one; an application of arguments adds 3."""


def too_deep(at: str | None = None) -> SpecError:
    """A term is nested too deep."""
    return fail(f"a formula that is nested more than {MAX_DEPTH} deep: write it flat, with conj(...), disj(...)", at)


@attrs.frozen(eq=False, init=False, repr=False)
class Term:
    """A node: ``op`` with ``args``; ``data`` holds what is not a term (a literal, a symbol, bound variables).

    ``depth`` is how deep its code is nested, ``nodes`` how many nodes the tree has: what is made of a term is recursive
    and visits each, so both are limited.
    """

    op: str
    args: tuple[Term, ...]
    data: Any
    depth: int
    nodes: int

    def __init__(self, op: str, args: tuple[Term, ...] = (), data: Any = None) -> None:
        depth = (3 if op == "apply" and args else _PARENS.get(op, 1)) + max((arg.depth for arg in args), default=0)
        nodes = 1 + sum(arg.nodes for arg in args)
        if depth > MAX_DEPTH + _SLACK:
            raise too_deep()
        if nodes > MAX_NODES:
            raise fail(f"a formula of {nodes:,} parts, at most {MAX_NODES:,}: a part that is used twice counts twice")
        object.__setattr__(self, "op", op)
        object.__setattr__(self, "args", args)
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "depth", depth)
        object.__setattr__(self, "nodes", nodes)

    @property
    def sort(self) -> type[Term]:
        """The sort of the value that the term denotes."""
        return type(self)

    def __bool__(self) -> bool:
        raise fail("a term has no truth value here: use & | ~ implies(), and no chained comparison, `if`, `and`, `or`")

    def __eq__(self, other: object) -> Bool:  # type: ignore[override]
        return Bool("eq", _same_sort(self, other, "=="))

    def __ne__(self, other: object) -> Bool:  # type: ignore[override]
        return ~(self == other)

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return show(self)

    if not TYPE_CHECKING:  # a type checker finds the mistake by their absence

        def __and__(self, other: Any) -> Any:
            raise _no_truth_value(self, "&")

        def __or__(self, other: Any) -> Any:
            raise _no_truth_value(self, "|")

        def __invert__(self) -> Any:
            raise _no_truth_value(self, "~")

        def __xor__(self, other: Any) -> Any:
            raise fail("there is no ^: write p != q for two Bools of which one holds")

        __rand__, __ror__, __rxor__ = __and__, __or__, __xor__


class Bool(Term):
    """Truth values."""

    def __and__(self, other: Bool | bool) -> Bool:
        return _joined("and", self, _as(Bool, other, "&"))

    def __or__(self, other: Bool | bool) -> Bool:
        return _joined("or", self, _as(Bool, other, "|"))

    def __invert__(self) -> Bool:
        return cast(Bool, self.args[0]) if self.op == "not" else Bool("not", (self,))

    __rand__ = __and__
    __ror__ = __or__


_LONG: Final = 32
"""Depth from which on a chain of one operator is made flat; below it stays as it was written."""


def _joined(op: str, *terms: Bool) -> Bool:
    parts = [t.args if t.op == op and t.depth > _LONG else (t,) for t in terms]
    return Bool(op, tuple(_flat(op, itertools.chain(*parts))) if any(len(p) > 1 for p in parts) else terms)


def _flat(op: str, terms: Iterable[Term]) -> list[Term]:
    return [part for term in terms for part in (_flat(op, term.args) if term.op == op else [term])]


class _Comparable(Term):
    def __lt__(self, other: Any) -> Bool:
        return Bool("lt", _same_sort(self, other, "<"))

    def __le__(self, other: Any) -> Bool:
        return Bool("le", _same_sort(self, other, "<="))

    def __gt__(self, other: Any) -> Bool:
        a, b = _same_sort(self, other, ">")
        return Bool("lt", (b, a))

    def __ge__(self, other: Any) -> Bool:
        a, b = _same_sort(self, other, ">=")
        return Bool("le", (b, a))


class Int(_Comparable):
    """Integers, with linear arithmetic."""

    def __add__(self, other: Int | int) -> Int:
        return Int("add", (self, _as(Int, other, "+")))

    def __sub__(self, other: Int | int) -> Int:
        return Int("sub", (self, _as(Int, other, "-")))

    def __mul__(self, other: int) -> Int:
        if not isinstance(other, int):
            raise fail("arithmetic is linear: multiply by a Python integer")
        return Int("mul", (self, _as(Int, other, "*")))

    def __rsub__(self, other: int) -> Int:
        return _as(Int, other, "-") - self

    __radd__ = __add__
    __rmul__ = __mul__


class Sort(Term):
    """Base of user sorts: ``class Agent(Sort): "an agent"``. Elements have no structure but equality."""

    ordered: ClassVar[bool] = False

    def _unordered(self, other: Any) -> Bool:
        raise fail(f"`{show(self)}` is {self.sort.__name__}, which has no order: derive it from OrderedSort")

    __lt__ = __le__ = __gt__ = __ge__ = _unordered


class OrderedSort(_Comparable, Sort):
    """Base of user sorts with a total order."""

    ordered: ClassVar[bool] = True


TRUE: Final = Bool("lit", (), True)
FALSE: Final = Bool("lit", (), False)

T = TypeVar("T", bound=Term)
S1 = TypeVar("S1", bound=Sort)
S2 = TypeVar("S2", bound=Sort)
S3 = TypeVar("S3", bound=Sort)
S4 = TypeVar("S4", bound=Sort)


def lift(value: Any) -> Term:
    """A term for a Python bool or int; a term stays as it is."""
    if isinstance(value, Term):
        return value
    if isinstance(value, bool):
        return TRUE if value else FALSE
    if isinstance(value, int):
        return Int("lit", (), value)
    if value is None:
        raise fail("expected a term, found nothing: does a function lack its `return`?")
    if isinstance(value, Function):
        raise fail(f"expected a term, found the function `{value.name}`: apply it, `{value.name}(...)`")
    raise fail(f"expected a term, a bool or an int, found {type(value).__name__}: {value!r}")


def _as(sort: type[T], value: Any, what: str) -> T:
    term = lift(value)
    if term.sort is not sort:
        hint = f"; {_PARENTHESES}" if what in ("&", "|") else ""
        raise fail(f"sort mismatch: {what} wants {sort.__name__}, found {term.sort.__name__} `{show(term)}`{hint}")
    return cast(T, term)


def _no_truth_value(term: Term, what: str) -> SpecError:
    return fail(f"sort mismatch: {what} wants Bool, found {term.sort.__name__} `{show(term)}`; {_PARENTHESES}")


def _same_sort(left: Term, right: Any, what: str) -> tuple[Term, Term]:
    other = lift(right)
    if left.sort is not other.sort:
        sorts = f"`{show(left)}` is {left.sort.__name__} but `{show(other)}` is {other.sort.__name__}"
        hint = f"; {_PARENTHESES}" if any(t.op in ("and", "or", "not") for t in (left, other)) else ""
        raise fail(f"sort mismatch: {sorts} in {what}{hint}")
    return left, other


def implies(premise: Bool, conclusion: Bool | bool) -> Bool:
    """``premise`` entails ``conclusion``."""
    return Bool("or", (~_as(Bool, premise, "implies"), _as(Bool, conclusion, "implies")))


def iff(left: Bool, right: Bool) -> Bool:
    """Both or neither."""
    return _as(Bool, left, "iff") == _as(Bool, right, "iff")


def conj(*terms: Bool) -> Bool:
    """All of the terms."""
    return Bool("and", tuple(_as(Bool, term, "conj") for term in terms))


def disj(*terms: Bool) -> Bool:
    """At least one of the terms."""
    return Bool("or", tuple(_as(Bool, term, "disj") for term in terms))


def ite(condition: Bool, then: T | bool | int, otherwise: T | bool | int) -> T:
    """``then`` if ``condition`` holds, else ``otherwise``."""
    first, second = _same_sort(lift(then), otherwise, "ite")
    return cast(T, first.sort("ite", (_as(Bool, condition, "ite"), first, second)))


_fresh = itertools.count()


def bound(sort: type[T], name: str) -> T:
    """A fresh bound variable (a quantified variable or an action's parameter)."""
    return sort("bound", (), (name, next(_fresh)))


def _quantify(kind: str, parts: tuple[Any, ...]) -> Bool:
    *sorts, body = parts
    for sort in sorts:
        if not (isinstance(sort, type) and issubclass(sort, Sort)):
            raise fail(f"{kind} ranges over sorts (classes derived from Sort), found {sort!r}")
    code = getattr(body, "__code__", None)
    if code is None or code.co_argcount != len(sorts):
        raise fail(f"{kind} over {len(sorts)} sort(s) needs a function of {len(sorts)} argument(s)")
    variables = tuple(bound(sort, name) for sort, name in zip(sorts, code.co_varnames[: code.co_argcount], strict=True))
    return Bool(kind, (_as(Bool, body(*variables), kind),), variables)


@overload
def forall(s1: type[S1], body: Callable[[S1], Bool], /) -> Bool: ...
@overload
def forall(s1: type[S1], s2: type[S2], body: Callable[[S1, S2], Bool], /) -> Bool: ...
@overload
def forall(s1: type[S1], s2: type[S2], s3: type[S3], body: Callable[[S1, S2, S3], Bool], /) -> Bool: ...
@overload
def forall(
    s1: type[S1], s2: type[S2], s3: type[S3], s4: type[S4], body: Callable[[S1, S2, S3, S4], Bool], /
) -> Bool: ...
def forall(*parts: Any) -> Bool:
    """``forall(Op, Object, lambda w, o: ...)``: the body holds for all elements."""
    return _quantify("forall", parts)


@overload
def exists(s1: type[S1], body: Callable[[S1], Bool], /) -> Bool: ...
@overload
def exists(s1: type[S1], s2: type[S2], body: Callable[[S1, S2], Bool], /) -> Bool: ...
@overload
def exists(s1: type[S1], s2: type[S2], s3: type[S3], body: Callable[[S1, S2, S3], Bool], /) -> Bool: ...
def exists(*parts: Any) -> Bool:
    """``exists(Op, lambda w: ...)``: the body holds for at least one element (of each sort)."""
    return _quantify("exists", parts)


R = TypeVar("R", bound=Term)


@attrs.frozen(eq=False, repr=False)
class Function(Generic[R]):
    """A function or relation symbol. ``f(x)`` is its value now, ``f.next(x)`` after the step (step properties only).

    ``kind`` is ``const`` (rigid), ``var`` (state) or ``param`` (a function-valued parameter of an action).
    """

    name: str
    domain: tuple[type[Term], ...]
    range: type[R]
    kind: str
    doc: str = ""

    def __call__(self, *args: Any) -> R:
        return self.range("apply", self._check(args), (self, False))

    def next(self, *args: Any) -> R:
        """The value after the step."""
        if self.kind != "var":
            raise fail(f"`{self.name}` does not change: next() is for state variables")
        return self.range("apply", self._check(args), (self, True))

    def _check(self, args: tuple[Any, ...]) -> tuple[Term, ...]:
        if len(args) != len(self.domain):
            wanted = ", ".join(sort.__name__ for sort in self.domain)
            raise fail(f"`{self.name}` takes ({wanted}), found {len(args)} argument(s)")
        return tuple(
            _as(sort, arg, f"argument {i + 1} of `{self.name}`")
            for i, (sort, arg) in enumerate(zip(self.domain, args, strict=True))
        )

    def __bool__(self) -> bool:
        raise self._bare()

    def _bare(self) -> SpecError:
        return fail(f"`{self.name}` is a function: apply it, `{self.name}(...)`")

    if not TYPE_CHECKING:

        def __and__(self, other: Any = None) -> Any:
            raise self._bare()

        __or__ = __rand__ = __ror__ = __invert__ = __and__

    def __eq__(self, other: object) -> bool:
        """Two names of one symbol. A forgotten application, ``f == g``, would be false for good: a mistake."""
        if self is other:
            return True
        raise self._bare()

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return self.name


def walk(term: Term) -> Iterator[Term]:
    """The term and all its subterms, outermost first."""
    yield term
    for arg in term.args:
        yield from walk(arg)


def conjuncts(term: Bool) -> list[Bool]:
    """The formulas of which the term is the conjunction, nested ``&`` flattened."""
    if term.op == "and":
        return [part for arg in term.args for part in conjuncts(cast(Bool, arg))]
    return [term]


_INFIX: Final = {
    "and": " & ",
    "or": " | ",
    "eq": " = ",
    "lt": " < ",
    "le": " <= ",
    "add": " + ",
    "sub": " - ",
    "mul": " * ",
}


def names_for(variables: Iterable[Term], names: Mapping[Term, str] = MappingProxyType({})) -> Mapping[Term, str]:
    """The names in a scope, ``names``, and those of more variables in it, each its own; a number is added to one that
    is another's already."""
    found = dict(names)
    for variable in variables:
        own = str(variable.data[0])
        others = set(found.values())
        numbered = (f"{own}_{n}" for n in itertools.count(2))
        found[variable] = own if own not in others else next(name for name in numbered if name not in others)
    return found


def free(term: Term, inside: frozenset[Term] = frozenset()) -> Iterator[Term]:
    """The variables that a term has and does not bind, as often as they occur."""
    if term.op == "bound" and term not in inside:
        yield term
    if term.op in ("forall", "exists"):
        inside |= set(term.data)
    for arg in term.args:
        yield from free(arg, inside)


def show(term: Term, names: Mapping[Term, str] = MappingProxyType({})) -> str:
    """The term in a compact notation, for messages and reports. No bound variable has the name of another one in whose
    scope it is, nor of one that is free; ``names`` are those of free ones (:func:`names_for`), by default their own."""
    more = (variable for variable in dict.fromkeys(free(term)) if variable not in names)
    return _text(term, names_for(more, names))


def _text(term: Term, names: Mapping[Term, str]) -> str:
    match term.op:
        case "lit":
            return str(term.data).lower() if isinstance(term.data, bool) else str(term.data)
        case "bound":
            return names[term]
        case "apply":
            function, primed = term.data
            inner = f"({', '.join(_text(arg, names) for arg in term.args)})" if term.args else ""
            return f"{function.name}{chr(39) if primed else ''}{inner}"
        case "not":
            negated = term.args[0]
            if negated.op == "eq":
                return f"{_wrap(negated.args[0], names)} != {_wrap(negated.args[1], names)}"
            return f"~{_wrap(negated, names)}"
        case "ite":
            condition, then, otherwise = (_text(arg, names) for arg in term.args)
            return f"if {condition} then {then} else {otherwise}"
        case "forall" | "exists":
            names = names_for(term.data, names)
            variables = ", ".join(f"{names[v]}: {v.sort.__name__}" for v in term.data)
            return f"{term.op} {variables}. {_text(term.args[0], names)}"
        case "or" if len(term.args) == 2 and term.args[0].op == "not":
            return f"{_wrap(term.args[0].args[0], names)} -> {_wrap(term.args[1], names)}"
        case _:
            parts = [_wrap(arg, names) for arg in term.args]
            return _INFIX[term.op].join(parts) or ("true" if term.op == "and" else "false")


def _wrap(term: Term, names: Mapping[Term, str]) -> str:
    text = _text(term, names)
    return text if term.op in {"lit", "bound", "apply", "not"} else f"({text})"
