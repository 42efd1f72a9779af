"""One step of the trajectories, whoever takes it and in however many phases: a call goes on top, or comes off it.

``mtpo`` takes it in one step, a runtime in several, between any two of which it may die (``spec/recovery``). Both have
the step property that is made here, each of its own variables: so what happens in ``recovery`` to the log, with its
crashes, is for the trajectories a sequence of the steps of ``mtpo``, and nothing besides. When which step is due, in
what order, and who waits, is for ``mtpo`` alone to say.
"""

from __future__ import annotations

from typing import Any

from mtpo.spec.language import Bool, Function, Sort, Variable, conj, forall, iff, implies


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
    what it left. Said by what has changed, so that a step is judged by looking at nothing else.
    """

    def put_on(c: Any) -> Bool:
        return ~live(c) & live.next(c)

    def taken_off(c: Any) -> Bool:
        return live(c) & ~live.next(c)

    at_most_one = forall(
        call,
        call,
        lambda c, d: implies(~iff(live(c), live.next(c)) & ~iff(live(d), live.next(d)), c == d),
    )
    on_top = forall(
        call,
        object,
        lambda c, o: implies(put_on(c) & writes(c, o), (top.next(o) == c) & (base.next(c, o) == top(o))),
    )
    from_the_top = forall(
        call,
        object,
        lambda c, o: implies(taken_off(c) & writes(c, o), (top(o) == c) & (top.next(o) == base(c, o))),
    )
    no_other_top = forall(
        object,
        lambda o: implies(
            top.next(o) != top(o),
            (put_on(top.next(o)) & writes(top.next(o), o)) | (taken_off(top(o)) & writes(top(o), o)),
        ),
    )
    nothing_else = forall(
        call,
        object,
        lambda c, o: implies(
            (base.next(c, o) != base(c, o)) | (value.next(c, o) != value(c, o)), ~iff(live(c), live.next(c))
        ),
    )
    return conj(at_most_one, on_top, from_the_top, no_other_top, nothing_else)
