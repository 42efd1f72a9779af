"""Why notifications go one way: two agents, each of which sets an object to half of the other's.

A sets x to y/2, B sets y to x/2 (SCCP 4.1). A value 2**-n is kept as n, so to halve is to add one. Whoever is told that
its premise changed revises at once. If both are told, nobody is ever done: in every reachable state, however long the
run, somebody has something to do (``two_way.endless``). If only the higher rank is told, each revision is the last but
one at most (``one_way.ends``), as in the protocol, of which these two are no part.
"""

from __future__ import annotations

from typing import Final

from mtpo.spec.language import Bool, Int, OrderedSort, Spec, forall, implies, require


class Agent(OrderedSort):
    """one of two agents; the order is the rank"""


def revisions(name: str, both: bool) -> Spec:
    """The spec, with notifications both ways or from the lower rank to the higher only."""
    spec = Spec(name, "Two agents that halve each other's value.")
    other = spec.const("other", Agent, to=Agent, doc="the other agent")
    halved = spec.var("halved", Agent, to=Int, init=lambda a: 0, doc="how often its value is the half of 1")
    basis = spec.var("basis", Agent, to=Int, init=lambda a: 0, doc="the value of the other that it went by")
    acted = spec.var("acted", Agent, init=lambda a: False, doc="has set its object")

    @spec.assume(f"{name}.two")
    def two() -> Bool:
        "There are two, and each is the other of the other."
        return forall(
            Agent, Agent, lambda a, b: (other(a) != a) & (other(other(a)) == a) & ((b == a) | (b == other(a)))
        )

    def told(a: Agent) -> Bool:
        """a acted on a value that has changed since, and is notified of that."""
        fresh = basis(a) == halved(other(a))
        return acted(a) & ~fresh if both else acted(a) & ~fresh & (other(a) < a)

    def halve(a: Agent) -> None:
        basis[a] = halved(other(a))
        halved[a] = halved(other(a)) + 1

    @spec.action
    def act(a: Agent) -> None:
        "An agent reads the other's object and sets its own to half of it."
        require("first", ~acted(a))
        acted[a] = True
        halve(a)

    @spec.action
    def revise(a: Agent) -> None:
        "What an agent read has changed: it does its work again."
        require("told", told(a))
        halve(a)

    @spec.lemma(f"{name}.lemma-half")
    def lemma_half() -> Bool:
        "What an agent set is half of what it went by."
        return forall(Agent, lambda a: implies(acted(a), halved(a) == basis(a) + 1))

    if both:

        @spec.invariant(f"{name}.endless")
        def endless() -> Bool:
            "Somebody has still to act, or has been told of a change."
            return ~forall(Agent, lambda a: acted(a) & ~told(a))

    else:

        @spec.reachable(f"{name}.done")
        def done() -> Bool:
            "Both have acted, and nobody has anything to be told."
            return forall(Agent, lambda a: acted(a) & ~told(a))

        @spec.variant(f"{name}.ends", Agent, decreases=("act", "revise"))
        def ends(a: Agent) -> tuple[Bool, ...]:
            "Each acts once, and the higher rank revises once more at most after that."
            return ~acted(a), told(a)

    return spec


one_way: Final = revisions("one_way", both=False)
two_way: Final = revisions("two_way", both=True)
