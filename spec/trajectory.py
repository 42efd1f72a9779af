"""One step of the trajectories, whoever takes it and in however many phases: a call goes on top, or comes off it.

``mtpo`` takes it in one step, a runtime in several, between any two of which it may die (``spec/recovery``). Both have
the step property that is made here, each of its own variables: so what happens in ``recovery`` to the log, with its
crashes, is for the trajectories a sequence of the steps of ``mtpo``, and nothing besides. When which step is due, in
what order, and who waits, is for ``mtpo`` alone to say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mtpo.spec.language import Bool, Function, Sort, Variable, conj, disj, exists, forall, iff, implies


def one_step(
    call: type[Sort],
    object: type[Sort],
    *,
    writes: Function[Bool],
    live: Variable[Bool],
    top: Variable[Any],
    base: Variable[Any],
    value: Variable[Any],
) -> Bool:
    """Of a step: it leaves the trajectories alone, or puts one call on top of every object that it writes, or takes one
    that is on top of all of these off, so that what it had replaced is on top again.

    ``live(c)``: c is in the trajectories; ``top(o)``: the last on o; ``base(c, o)``: what c replaced; ``value(c, o)``:
    what it left.
    """

    def others_stay(c: Any | None) -> Bool:
        """Nothing is changed of any call, but perhaps c."""

        def of_calls(other: Callable[..., Bool]) -> Bool:
            return forall(call, other) if c is None else forall(call, lambda d: implies(d != c, other(d)))

        return of_calls(
            lambda d: (
                iff(live(d), live.next(d))
                & forall(object, lambda o: (base.next(d, o) == base(d, o)) & (value.next(d, o) == value(d, o)))
            )
        )

    def untouched(c: Any) -> Bool:
        """What c does not write keeps its top."""
        return forall(object, lambda o: implies(~writes(c, o), top.next(o) == top(o)))

    def put_on(c: Any) -> Bool:
        over = forall(object, lambda o: implies(writes(c, o), (top.next(o) == c) & (base.next(c, o) == top(o))))
        return conj(~live(c), live.next(c), over, untouched(c), others_stay(c))

    def taken_off(c: Any) -> Bool:
        back = forall(object, lambda o: implies(writes(c, o), (top(o) == c) & (top.next(o) == base(c, o))))
        return conj(live(c), ~live.next(c), back, untouched(c), others_stay(c))

    still = others_stay(None) & forall(object, lambda o: top.next(o) == top(o))
    return disj(still, exists(call, put_on), exists(call, taken_off))
