"""Mutual exclusion by one lock: the example of the language's documentation, as a user's own file."""

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


@lock.step_property("lock.no-barging")
def no_barging() -> Bool:
    "A process that enters finds nobody inside."
    return forall(Process, Process, lambda p, q: implies(holds.next(p) & ~holds(p), ~holds(q)))


@lock.reachable("lock.entered")
def entered() -> Bool:
    "Somebody gets in."
    return exists(Process, lambda p: holds(p))


@lock.variant("lock.emptied", Process, decreases=("release",), raised_by=("acquire",))
def emptied(p: Process) -> tuple[Bool, ...]:
    "Without new entries everybody leaves."
    return (holds(p),)
