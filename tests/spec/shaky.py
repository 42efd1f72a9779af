"""Processes that add to a counter which must stay below a bound: a spec that small instances violate."""

from __future__ import annotations

from mtpo.spec.language import Int, Sort, Spec, exists, forall, require


class Process(Sort):
    "a process"


def shaky(least: int) -> Spec:
    """A counter that must stay below a bound, by processes that add 5 each, once."""
    spec = Spec("shaky")
    done = spec.var("done", Process, init=lambda p: False)
    total = spec.var("total", to=Int, init=lambda: 0)

    @spec.action
    def add(p: Process) -> None:
        require("fresh", ~done(p))
        done[p] = True
        total.becomes(total() + 5)

    spec.invariant("shaky.small")(lambda: total() < least)
    spec.step_property("shaky.stays")(lambda: forall(Process, lambda p: ~done(p) | done.next(p)))
    spec.reachable("shaky.two")(lambda: exists(Process, Process, lambda p, q: (p != q) & done(p) & done(q)))
    return spec
