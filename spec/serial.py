"""Serial: from a run of MTPO that has come to rest, the serial run of the same agents ends in the same state.

What SCCP (section 4) claims of a run is that it is equivalent to a serial one. ``mtpo.notified-serializable`` shows the
equations that a serial run satisfies; here the serial run is made. Its agents run one after the other, in the order of
their ranks, each from beginning to end, with nobody beside it. The run of MTPO is given: the constants are its state
when it came to rest (:mod:`mtpo.spec.frozen`), and what is assumed of that is proven of every run of ``mtpo``.

The three assumptions of SCCP about agents and tools are clauses of the steps of the serial run:

- A1, individual success: an agent that can go on does. Nothing can keep it (``serial.goes-on``), and it has finitely
  many calls to make; so it completes.
- A2, well-formed: a tool changes nothing but its footprint, and what it does, or that it fails, is a function of what
  its call reads.
- A3, self-healing: what an agent does next is a function of its context. If that is, as far as it matters to the agent,
  what it went by at last in the run of MTPO, the agent does what stands there: it makes the next call that is live or
  has failed; of one that was taken back, or cancelled and not repeated, it takes what that read into account; and when
  nothing is left it ends. So what it revised when it was told is what it would have done had it known at once.

What matters to an agent is what its predicates tell apart. A tool goes by exact values: A2 says nothing of others.
Of an aborted agent stands what could not be taken back; its serial run is that and no more. Of an object that somebody
changed without a tool (F10) the state is that of its trajectory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from mtpo.spec.frozen import Frozen
from mtpo.spec.language import Bool, Function, Spec, conj, exists, forall, function, iff, implies, ite, require
from mtpo.spec.mtpo import Agent, Call, Object, Value, model, mtpo

serial: Final = Spec("serial", "Serial: the serial run of the agents of a run of MTPO that has come to rest.")

_run: Final = Frozen(mtpo, serial)

origin, author = _run.symbol(model.origin), _run.symbol(model.author)
reads, writes = _run.symbol(model.reads), _run.symbol(model.writes)
issued, aborted = _run.symbol(model.issued), _run.symbol(model.aborted)
live, void, sighted = _run.symbol(model.live), _run.symbol(model.void), _run.symbol(model.sighted)
source, top = _run.symbol(model.source), _run.symbol(model.top)
saw, value = _run.symbol(model.saw), _run.symbol(model.value)

# -- what is assumed of the run: that it is one of mtpo, at rest ---------------------------------------------------


@serial.assume("serial.at-rest")
def at_rest() -> Bool:
    "GlobalQuiet: no open repair, every agent at rest and told all, every aborted one without a call to retract."
    return _run.formula(model.global_quiet())


def _as_in_mtpo(id: str) -> None:
    """What is assumed in mtpo, or proven of every state there, is assumed of the state that is given here."""

    def body() -> Bool:
        return _run.property(id)

    body.__doc__ = mtpo.properties[id].doc
    serial.assume(f"serial.{id}")(body)


for _id in ("pre-order", "origin-first", "notified-serializable", "effects-exact", "failures-exact", "no-lost-call"):
    _as_in_mtpo(f"mtpo.{_id}")
for _id in ("agents", "issued", "repair"):
    _as_in_mtpo(f"mtpo.lemma-{_id}")

# -- the serial run ------------------------------------------------------------------------------------------------

made = serial.var("made", Call, init=lambda c: False, doc="its author has made the call, or has taken it into account")
ended = serial.var("ended", Agent, init=lambda a: False, doc="the agent has completed its task")
holds = serial.var("holds", Object, to=Value, init=lambda o: value(origin(), o), doc="what the object holds")
sees = serial.var("sees", Call, Object, to=Value, init=lambda c, o: value(origin(), o), doc="what the call read")
acted = serial.var("acted", Call, init=lambda c: False, doc="the call had an effect")
left = serial.var(
    "left", Call, Object, to=Value, init=lambda c, o: value(origin(), o), doc="what it left on the object"
)
last = serial.var("last", Object, to=Call, init=lambda o: origin(), doc="the live call that wrote the object last")


def by(c: Call, a: Agent) -> Bool:
    """c is a call of a."""
    return _run.formula(model.by(c, a))


def unlike(c: Call, o: Object, v: Value, u: Value) -> Bool:
    """To c's author v and u are two things, on o."""
    return _run.formula(model.unlike(c, o, v, u))


def as_it_went_by(a: Agent) -> Bool:
    """The context of a is what it went by at last, in the run of MTPO: the same calls, outcomes, and sights, to it."""
    return forall(
        Call,
        lambda c: implies(
            by(c, a) & made(c),
            conj(
                sighted(c) & iff(acted(c), live(c)),
                forall(Object, lambda o: implies(reads(c, o), ~unlike(c, o, saw(c, o), sees(c, o)))),
                forall(Object, lambda o: implies(acted(c) & writes(c, o), left(c, o) == value(c, o))),
            ),
        ),
    )


def at_work(a: Agent) -> Bool:
    """a has not completed, and everybody before it has: it is alone."""
    return ~ended(a) & forall(Agent, lambda b: implies(b < a, ended(b)))


def in_turn(c: Call) -> Bool:
    """c stands in the run of MTPO, and so does no earlier call of its author that is still to be made."""
    return sighted(c) & forall(Call, lambda d: implies(sighted(d) & by(d, author(c)) & (d < c), made(d)))


def same_input(c: Call) -> Bool:
    """What c reads is exactly what it acted on, or failed of, in the run of MTPO."""
    return forall(Object, lambda o: implies(reads(c, o), holds(o) == saw(c, o)))


Guard: TypeAlias = tuple[tuple[str, Bool], ...]
"""Clauses with their names."""


def next_of_its_author(c: Call, stands: Bool) -> Guard:
    """The clauses common to all that an agent does with a call; ``stands``: it does so in the run of MTPO."""
    return (
        ("alone", at_work(author(c))),
        ("new", ~made(c)),
        ("A3-self-healing", implies(as_it_went_by(author(c)), stands & in_turn(c))),
    )


def to_act(c: Call, out: Callable[[Object], Value]) -> Guard:
    """What a call that leaves ``out`` needs."""
    same = live(c) & forall(Object, lambda o: implies(writes(c, o), out(o) == value(c, o)))
    return *next_of_its_author(c, live(c) | void(c)), ("A2-function-of-input", implies(same_input(c), same))


def to_fail(c: Call) -> Guard:
    """What a call that fails needs."""
    return *next_of_its_author(c, live(c) | void(c)), ("A2-function-of-input", implies(same_input(c), void(c)))


def to_look(c: Call) -> Guard:
    """What it takes to see what a call read, and not to make it."""
    return next_of_its_author(c, ~live(c) & ~void(c))


def to_end(a: Agent) -> Guard:
    """When an agent completes."""
    done = forall(Call, lambda c: implies(by(c, a) & sighted(c), made(c)))
    return (
        ("alone", at_work(a)),
        ("A3-self-healing", implies(as_it_went_by(a), done)),
    )


def require_all(guard: Guard) -> None:
    """The clauses of the action that is being declared."""
    for name, formula in guard:
        require(name, formula)


def met(guard: Guard) -> Bool:
    """Every clause of it is true."""
    return conj(*(formula for _, formula in guard))


def see(c: Call) -> None:
    """The agent learns what the call reads."""
    made[c] = True
    sees.becomes(lambda p, o: ite(p == c, holds(o), sees(p, o)))


@serial.action(out=function(Object, to=Value))
def act(c: Call, out: Function[Value]) -> None:
    "An agent makes a call, which takes effect, on what it writes (A2: on nothing else)."
    require_all(to_act(c, lambda o: out(o)))
    see(c)
    acted[c] = True
    holds.becomes(lambda o: ite(writes(c, o), out(o), holds(o)))
    left.becomes(lambda p, o: ite(p == c, out(o), left(p, o)))
    last.becomes(lambda o: ite(writes(c, o), c, last(o)))


@serial.action
def fail(c: Call) -> None:
    "An agent makes a call, which fails."
    require_all(to_fail(c))
    see(c)


@serial.action
def look(c: Call) -> None:
    "An agent takes into account what a call would read, and does not make it; or the call is a mere read."
    require_all(to_look(c))
    see(c)


@serial.action
def end(a: Agent) -> None:
    "An agent completes its task."
    require_all(to_end(a))
    ended[a] = True


# -- what follows --------------------------------------------------------------------------------------------------


@serial.invariant("serial.same-calls")
def same_calls() -> Bool:
    "The serial run makes the calls that stand in the run of MTPO, in their order, to the same effect, and no others."
    # All that were accepted stand, but those of an agent that was aborted, of which only some do.
    return conj(
        forall(Call, lambda c: implies(made(c), sighted(c) & iff(acted(c), live(c)))),
        forall(Call, Call, lambda c, d: implies(made(c) & sighted(d) & (d < c), made(d))),
        forall(Agent, Call, lambda a, c: implies(ended(a) & by(c, a) & sighted(c), made(c))),
        forall(Agent, Call, lambda a, c: implies(ended(a) & by(c, a) & issued(c) & ~aborted(a), made(c))),
    )


@serial.invariant("serial.same-sights")
def same_sights() -> Bool:
    "Each call sees there what its author went by, or, by its predicate, as good; exactly that if it acts, or fails."
    return forall(
        Call,
        Object,
        lambda c, o: implies(
            made(c) & reads(c, o),
            conj(
                sees(c, o) == value(source(c, o), o),
                ~unlike(c, o, saw(c, o), sees(c, o)),
                implies(live(c) | void(c), sees(c, o) == saw(c, o)),
            ),
        ),
    )


@serial.invariant("serial.same-state")
def same_state() -> Bool:
    "When all have completed every object holds what it held when the run of MTPO came to rest."
    return implies(
        forall(Agent, lambda a: ended(a)),
        forall(Object, lambda o: (holds(o) == value(top(o), o)) & (last(o) == top(o))),
    )


@serial.invariant("serial.goes-on")
def goes_on() -> Bool:
    "Nothing keeps an agent whose turn it is (A1): it makes the next call that stands or, with none left, completes."

    def can_do(c: Call) -> Bool:
        return met(to_act(c, lambda o: value(c, o))) | met(to_fail(c)) | met(to_look(c))

    return conj(
        forall(Call, lambda c: implies(in_turn(c) & ~made(c) & at_work(author(c)), can_do(c))),
        forall(
            Agent,
            lambda a: implies(
                at_work(a) & forall(Call, lambda c: implies(by(c, a) & sighted(c), made(c))), met(to_end(a))
            ),
        ),
    )


@serial.lemma("serial.lemma-prefix")
def lemma_prefix() -> Bool:
    "Agents complete in order; what is made has been made of the lowest who has not completed, or of one who has."
    return conj(
        forall(Agent, Agent, lambda a, b: implies(ended(a) & (b < a), ended(b))),
        forall(Call, Agent, lambda c, b: implies(made(c) & (b < author(c)), ended(b))),
        forall(Call, lambda c: implies(acted(c), made(c))) & ~made(origin()),
    )


@serial.lemma("serial.lemma-values")
def lemma_values() -> Bool:
    "Of the live writes that have been made the greatest was last, and left what the object holds, as in MTPO's run."
    return conj(
        forall(Object, lambda o: live(last(o)) & writes(last(o), o) & ((last(o) == origin()) | made(last(o)))),
        forall(Call, Object, lambda w, o: implies(live(w) & made(w) & writes(w, o), w <= last(o))),
        forall(Object, lambda o: holds(o) == value(last(o), o)),
        forall(Call, Object, lambda c, o: implies(made(c) & acted(c) & writes(c, o), left(c, o) == value(c, o))),
    )


@serial.step_property("serial.one-after-the-other")
def one_after_the_other() -> Bool:
    "Nobody does anything before every agent of lower rank has completed, nor after completing."
    return forall(
        Call,
        Agent,
        lambda c, b: implies(made.next(c) & ~made(c), ~ended(author(c)) & implies(b < author(c), ended(b))),
    )


@serial.reachable("serial.reach-both")
def reach_both() -> Bool:
    "All have completed, and a call has acted on what another agent's call had left, both live in the run of MTPO."
    return forall(Agent, lambda a: ended(a)) & exists(
        Call,
        Call,
        Object,
        lambda c, d, o: acted(c) & acted(d) & (author(c) != author(d)) & reads(d, o) & (source(d, o) == c),
    )


@serial.reachable("serial.reach-failed")
def reach_failed() -> Bool:
    "A call fails again."
    return exists(Call, lambda c: made(c) & void(c) & ~acted(c))


@serial.reachable("serial.reach-looked")
def reach_looked() -> Bool:
    "A call that was taken back, or not repeated, is looked at and not made."
    return exists(Call, Object, lambda c, o: made(c) & writes(c, o) & ~live(c) & ~void(c))


@serial.reachable("serial.reach-waived")
def reach_waived() -> Bool:
    "An agent sees another value than in the run of MTPO, and to its predicate they are the same."
    return exists(Call, Object, lambda c, o: made(c) & reads(c, o) & (sees(c, o) != saw(c, o)))


@serial.variant("serial.calls-run-out", Call, decreases=("act", "fail", "look"))
def calls_run_out(c: Call) -> tuple[Bool, ...]:
    "Every call is made once (A1)."
    return (~made(c),)


@serial.variant("serial.all-complete", Agent, decreases=("end",))
def all_complete(a: Agent) -> tuple[Bool, ...]:
    "Every agent completes once (A1)."
    return (~ended(a),)


@serial.ends("serial.every-run-ends")
def every_run_ends() -> None:
    "The serial run comes to its end (A1)."


_ENDED: Final = "nothing that stands is left to an agent that has completed (serial.same-calls)"
_NOBODY_ASTRAY: Final = "nothing differs from the run in anybody's context (serial.same-calls, serial.same-sights)"
_NO_EFFECT: Final = "to fail and to be looked at only leave the same"

EQUIVALENT: Final = {
    "serial.act.alone/0@b798b941": _ENDED,
    "serial.fail.alone/0@c58d222e": _ENDED,
    "serial.look.alone/0@c58d222e": _ENDED,
    "serial.act.A3-self-healing~0@a9468cac": _NOBODY_ASTRAY,
    "serial.act.A3-self-healing~1@1c3956eb": _NOBODY_ASTRAY,
    "serial.act.A3-self-healing~2@13eec2f0": _NOBODY_ASTRAY,
    "serial.fail.A3-self-healing~0@812bcaea": _NOBODY_ASTRAY,
    "serial.fail.A3-self-healing~1@00fe5189": _NOBODY_ASTRAY,
    "serial.fail.A3-self-healing~2@a1fc4044": _NOBODY_ASTRAY,
    "serial.look.A3-self-healing~0@6d53b4b7": _NOBODY_ASTRAY,
    "serial.look.A3-self-healing~1@5949f5b5": _NOBODY_ASTRAY,
    "serial.look.A3-self-healing~2@57acff1b": _NOBODY_ASTRAY,
    "serial.end.A3-self-healing~0@b3e23809": _NOBODY_ASTRAY,
    "serial.end.A3-self-healing~1@0ac9d52e": _NOBODY_ASTRAY,
    "serial.end.A3-self-healing~2@948ae7f8": _NOBODY_ASTRAY,
    "serial.fail.A3-self-healing~17@46684058": _NO_EFFECT,
    "serial.look.A3-self-healing~15@2e6e4e8e": _NO_EFFECT,
}
"""Mutants that change nothing that anybody could observe, with the reason."""
