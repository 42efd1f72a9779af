"""The read-modify-write counter: N processes, K rounds each, an update may be lost; the yardstick of explorers."""

from __future__ import annotations

from mtpo.spec.language import Bool, Int, Sort, Spec, require

counter = Spec("counter", "Processes increment x by reading and writing back.")


class Process(Sort):
    "a process"


x = counter.var("x", to=Int, init=lambda: 0, doc="the counter")
t = counter.var("t", Process, to=Int, init=lambda p: 0, doc="what p read")
r = counter.var("r", Process, to=Int, init=lambda p: 0, doc="rounds that p has done")
busy = counter.var("busy", Process, init=lambda p: False, doc="p has read and not written")

N, K = 4, 3


@counter.action
def read(p: Process) -> None:
    "p reads."
    require("idle", ~busy(p))
    require("rounds-left", r(p) < K)
    t[p] = x()
    busy[p] = True


@counter.action
def write(p: Process) -> None:
    "p writes back."
    require("busy", busy(p))
    x.becomes(t(p) + 1)
    r[p] = r(p) + 1
    busy[p] = False


@counter.invariant("counter.bounded")
def bounded() -> Bool:
    "x never exceeds the number of increments."
    return x() <= N * K
