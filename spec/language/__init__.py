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

from mtpo.spec.language.bodies import Clause, Update, Variable, require
from mtpo.spec.language.declarations import Action, Ending, Property, Variant, formals_of
from mtpo.spec.language.spec import Spec, function
from mtpo.spec.language.terms import (
    FALSE,
    TRUE,
    Bool,
    Function,
    Int,
    OrderedSort,
    Sort,
    SpecError,
    Term,
    conj,
    conjuncts,
    disj,
    exists,
    forall,
    iff,
    implies,
    ite,
    show,
)

__all__ = [
    "FALSE",
    "TRUE",
    "Action",
    "Bool",
    "Clause",
    "Ending",
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
    "formals_of",
    "function",
    "iff",
    "implies",
    "ite",
    "require",
    "show",
]
