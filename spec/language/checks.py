"""What is refused when a spec is declared: names, sorts and scopes, and whether the next state may be read."""

from __future__ import annotations

import inspect
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from mtpo.spec.language.terms import MAX_DEPTH, Bool, Function, Int, Sort, Term, bound, fail, lift, show, too_deep, walk

if TYPE_CHECKING:
    from mtpo.spec.language.spec import Spec

NAME: Final = re.compile(r"\w[\w-]*")
"""Of a spec, a property, a clause: files are named by them."""

NAME_IS: Final = "letters, digits, _ and -"


class SortNames:
    """The sorts that a spec has mentioned so far, by their names."""

    def __init__(self) -> None:
        self._named: dict[str, type[Term]] = {"Bool": Bool, "Int": Int}

    def copy(self) -> SortNames:
        """An independent one with the same sorts."""
        other = SortNames()
        other._named |= self._named
        return other

    def distinct(self, sort: type[Term], at: str | None = None) -> None:
        """No two sorts of one name, which no report could tell apart; and a name that can be read in one."""
        if not sort.__name__.isidentifier():
            raise fail(f"a sort is named by an identifier, found {sort.__name__!r}", at)
        if self._named.setdefault(sort.__name__, sort) is not sort:
            raise fail(f"two sorts are named {sort.__name__}: give one of them another name", at)

    def finite(self, what: str, *sorts: Any, at: str | None = None) -> None:
        """Sorts of arguments and, last, of values, of a symbol."""
        for sort in sorts:
            if not (isinstance(sort, type) and issubclass(sort, (Sort, Int, Bool))):
                raise fail(f"{what} is over sorts (classes derived from Sort, Int, Bool), found {sort!r}", at)
            self.distinct(sort, at)
        if Int in sorts[:-1]:
            raise fail(f"{what} has an argument that is an Int, and would have no end: only its values may be Int", at)


def fresh_name(spec: Spec, name: str, *sorts: Any) -> None:
    """A name for a symbol over sorts, the last of which is that of its values."""
    if not name.isidentifier():
        raise fail(f"{name!r} is not an identifier")
    if unicodedata.normalize("NFKC", name) != name:
        raise fail(f"{name!r} is read as {unicodedata.normalize('NFKC', name)!r} in Python: write that")
    spec.sort_names.finite(f"`{name}`", *sorts)
    if name in spec.constants or name in spec.variables:
        raise fail(f"`{name}` is already declared")


def with_id(spec: Spec, how: str, id: object) -> None:
    """A claim is declared with an id: without one the declaration would be a function that nobody calls."""
    if not isinstance(id, str):
        found = f"`{id.__name__}` itself" if inspect.isfunction(id) else repr(id)
        raise fail(f'`@{spec.name}.{how}("{spec.name}.NAME")` declares a claim by its id, found {found}')


def place_of(body: Any, what: str) -> str:
    """File and line of the function that declares something."""
    if not inspect.isfunction(body):
        raise fail(f"{what} is declared by a function (`def`), found {body!r}")
    return f"{body.__code__.co_filename}:{body.__code__.co_firstlineno}"


def fresh_id(spec: Spec, id: str, at: str) -> None:
    """An id for a claim."""
    if not id.startswith(f"{spec.name}."):
        raise fail(f"property id {id!r} must begin with `{spec.name}.`", at)
    if not all(NAME.fullmatch(part) for part in id.split(".")):
        raise fail(f"property id {id!r}: an id is of names joined by dots, a name of {NAME_IS}", at)
    if id in spec.claims:
        raise fail(f"property {id!r} is already declared", at)
    if id in {f"{spec.name}.{action}" for action in spec.actions}:
        raise fail(f"property {id!r} has the id of an action: give it another name", at)


def of_actions(spec: Spec, what: str, at: str, **given: tuple[str, ...]) -> None:
    """Names of actions."""
    for option, names in given.items():
        if isinstance(names, str):
            raise fail(f"{what}: {option} wants a tuple of actions: write ({names!r},)", at)
        if not isinstance(names, Iterable):
            raise fail(f"{what}: {option} wants a tuple of names of actions, found {names!r}", at)
        for name in names:
            if name not in spec.actions:
                raise fail(f"{what} names an unknown action `{name}`", at)


def only_now(term: Term, what: str) -> None:
    """No part of it reads the next state."""
    for part in walk(term):
        if part.op == "apply" and part.data[1]:
            raise fail(f"{what} reads the next state, `{show(part)}`: only a step property may")


def in_scope(spec: Spec, term: Term, what: str, names: Sequence[Term | Function[Any]], at: str | None = None) -> None:
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
                spec.sort_names.distinct(v.sort, at)
        for arg in part.args:
            look(arg, inner)

    look(term, frozenset())


def call(body: Any, args: Sequence[Term], what: str, at: str | None = None) -> Any:
    """The body of a declaration applied to its arguments."""
    if isinstance(body, Function):
        return body(*args)
    try:
        inspect.signature(body).bind(*args)
    except TypeError:
        raise fail(f"{what} wants a function of {len(args)} argument(s)", at) from None
    return body(*args)


def typed(function: Function[Any], body: Callable[..., Any], what: str) -> Callable[..., Term]:
    """A body that gives the values of a function, held to its sorts."""

    def value(*point: Term) -> Term:
        found = lift(call(body, point, what))
        if found.sort is not function.range:
            raise fail(f"sort mismatch: {what} is {found.sort.__name__}, wanted {function.range.__name__}")
        return found

    if not callable(body):
        raise fail(f"{what} is a function of {len(function.domain)} argument(s), found {body!r}")
    value(*(bound(sort, "x") for sort in function.domain))
    return value


def annotation(body: Callable[..., Any], name: str) -> Any:
    raw = body.__annotations__.get(name)
    if not isinstance(raw, str):
        return raw
    try:
        closure = inspect.getclosurevars(body)
        return eval(raw, {**body.__globals__, **closure.nonlocals})
    except NameError:
        return raw
