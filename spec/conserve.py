"""ConServe: a conversation is prefilled once, moved once, and bound to one decoder for the rest of its life.

"Observation, Not Prediction" (Ding et al., arXiv 2606.01839), the rule; first come, first served where it leaves the
order open. A decoder's KV cache is a set of slots; a reservation is a set of free slots of one decoder, taken in the
step that chooses it. So what is used is never more than there is, in any accounting; by observation a conversation can
outgrow what is left, and then it has no slots for what it needs: the engine preempts, and the conversation stays
(``over``). Which of the decoders with room is chosen (the emptiest) does not matter to any property here. A decoder
that crashes loses its conversations' caches; they begin anew, which is the one way to a second transfer.
"""

from __future__ import annotations

from typing import Final

from mtpo.spec.language import Bool, Function, Sort, Spec, conj, exists, forall, function, implies, require

conserve: Final = Spec("conserve", __doc__)


class Conversation(Sort):
    """a conversation"""


class Decoder(Sort):
    """a worker that decodes"""


class Slot(Sort):
    """room for some of a conversation's KV cache"""


home = conserve.const("home", Slot, to=Decoder, doc="the decoder that the slot is on")
oracle = conserve.const("oracle", doc="a reservation is for the largest sequence there will be, known beforehand")
nowhere = conserve.const("nowhere", to=Decoder, doc="what `at` is while a conversation is not bound, at first")

arrived = conserve.var("arrived", Conversation, init=lambda c: False, doc="its first turn is at a prefiller")
prefilled = conserve.var("prefilled", Conversation, init=lambda c: False, doc="that turn's KV cache is computed")
bound = conserve.var("bound", Conversation, init=lambda c: False, doc="it is bound to the decoder `at`")
at = conserve.var("at", Conversation, to=Decoder, init=lambda c: nowhere(), doc="the decoder it was bound to last")
done = conserve.var("done", Conversation, init=lambda c: False, doc="it has ended")
before = conserve.var(
    "before", Conversation, Conversation, init=lambda p, q: False, doc="both wait for a decoder, the first for longer"
)
holds = conserve.var("holds", Slot, Conversation, init=lambda s, c: False, doc="the slot is reserved for it")
extra = conserve.var("extra", Slot, init=lambda s: False, doc="the slot was taken after the binding")
moved = conserve.var("moved", Conversation, init=lambda c: False, doc="its KV cache is on the decoder it is bound to")
sent = conserve.var("sent", Conversation, init=lambda c: False, doc="its KV cache was transferred at least once")
twice = conserve.var("twice", Conversation, init=lambda c: False, doc="its KV cache was transferred more than once")
runs = conserve.var("runs", Conversation, Decoder, init=lambda c, d: False, doc="a turn of it runs there")
served = conserve.var("served", Conversation, init=lambda c: False, doc="a turn of it has begun to decode")
over = conserve.var("over", Conversation, init=lambda c: False, doc="it lacked slots that it needed, at least once")
down = conserve.var("down", Decoder, init=lambda d: False, doc="the decoder has crashed")
lost = conserve.var("lost", Conversation, init=lambda c: False, doc="a decoder that it was bound to crashed")


def waits(c: Conversation) -> Bool:
    """It is prefilled and has no decoder yet."""
    return prefilled(c) & ~bound(c) & ~done(c)


def free(s: Slot) -> Bool:
    """The slot is reserved for nobody."""
    return forall(Conversation, lambda c: ~holds(s, c))


def idle(c: Conversation) -> Bool:
    """No turn of it runs."""
    return forall(Decoder, lambda d: ~runs(c, d))


# -- actions -----------------------------------------------------------------------------------------------------------


@conserve.action
def arrive(c: Conversation) -> None:
    "A conversation's first turn goes to a prefiller."
    require("new", ~arrived(c))
    arrived[c] = True


@conserve.action
def prefill(c: Conversation) -> None:
    "The first turn is computed; the conversation joins the line for a decoder, at its end."
    require("arrived", arrived(c))
    require("not-yet", ~prefilled(c))
    prefilled[c] = True
    before.becomes(lambda p, q: before(p, q) | ((q == c) & waits(p)))


@conserve.action(out=function(Slot))
def bind(c: Conversation, d: Decoder, out: Function[Bool]) -> None:
    "The first in line is bound to a decoder with room; choice and reservation are one step."
    require("waits", waits(c))
    require("first-in-line", forall(Conversation, lambda q: ~before(q, c)))
    require("up", ~down(d))
    require("some", exists(Slot, lambda s: out(s)))
    require("there", forall(Slot, lambda s: implies(out(s), home(s) == d)))
    require("free", forall(Slot, lambda s: implies(out(s), free(s))))
    bound[c] = True
    at[c] = d
    holds.becomes(lambda s, q: holds(s, q) | ((q == c) & out(s)))
    before.becomes(lambda p, q: before(p, q) & (p != c))  # nobody stood before it


@conserve.action
def transfer(c: Conversation) -> None:
    "The KV cache goes from the prefiller to the decoder."
    require("bound", bound(c))
    require("once", ~moved(c))
    moved[c] = True
    sent[c] = True
    twice[c] = sent(c)


@conserve.action
def begin(c: Conversation, d: Decoder) -> None:
    "A turn begins: the rest of the first one, or a later one with its prompt."
    require("bound", bound(c))
    require("there", at(c) == d)
    require("moved", moved(c))
    require("idle", idle(c))
    runs[c, d] = True
    served[c] = True


@conserve.action
def grow(c: Conversation, s: Slot) -> None:
    "By observation: a turn needs more than was reserved, and takes it."
    require("observed", ~oracle())
    require("runs", runs(c, at(c)))
    require("there", home(s) == at(c))
    require("free", free(s))
    holds[s, c] = True
    extra[s] = True


@conserve.action
def overflow(c: Conversation) -> None:
    "By observation: a turn needs more, and there is none; the engine preempts somebody, nobody is re-bound."
    require("observed", ~oracle())
    require("runs", runs(c, at(c)))
    require("full", forall(Slot, lambda s: implies(home(s) == at(c), ~free(s))))
    over[c] = True


@conserve.action
def end(c: Conversation, d: Decoder) -> None:
    "A turn ends; the conversation stays where it is."
    require("runs", runs(c, d))
    runs[c, d] = False


@conserve.action
def finish(c: Conversation) -> None:
    "A conversation ends and gives back what was reserved."
    require("bound", bound(c))
    require("served", served(c))
    require("idle", idle(c))
    done[c] = True
    bound[c] = False
    extra.becomes(lambda s: extra(s) & ~holds(s, c))
    holds.becomes(lambda s, q: holds(s, q) & (q != c))


@conserve.action
def crash(d: Decoder) -> None:
    "A decoder is gone, with the caches of its conversations; they are to be prefilled anew."
    require("up", ~down(d))
    down[d] = True
    lost.becomes(lambda c: lost(c) | (bound(c) & (at(c) == d)))
    prefilled.becomes(lambda c: prefilled(c) & ~(bound(c) & (at(c) == d)))
    moved.becomes(lambda c: moved(c) & ~(bound(c) & (at(c) == d)))
    bound.becomes(lambda c: bound(c) & (at(c) != d))
    holds.becomes(lambda s, c: holds(s, c) & (home(s) != d))
    extra.becomes(lambda s: extra(s) & (home(s) != d))
    runs.becomes(lambda c, e: runs(c, e) & (e != d))


# -- properties --------------------------------------------------------------------------------------------------------


@conserve.invariant("conserve.one-transfer")
def one_transfer() -> Bool:
    "I1: a conversation's KV cache is moved at most once, unless a decoder that had it crashed."
    return forall(Conversation, lambda c: implies(twice(c), lost(c)))


@conserve.step_property("conserve.bound-until-the-end")
def bound_until_the_end() -> Bool:
    "I2: a binding is written once: it ends with the conversation, or with its decoder."
    return forall(
        Conversation,
        lambda c: implies(
            bound(c),
            (bound.next(c) & (at.next(c) == at(c))) | done.next(c) | (~bound.next(c) & down.next(at(c))),
        ),
    )


@conserve.invariant("conserve.turns-at-home")
def turns_at_home() -> Bool:
    "I3: every turn runs on the decoder its conversation is bound to, after the KV cache came there."
    return forall(
        Conversation, Decoder, lambda c, d: implies(runs(c, d), bound(c) & (at(c) == d) & moved(c) & ~down(d))
    )


@conserve.invariant("conserve.no-overcommitment")
def no_overcommitment() -> Bool:
    "I4: a slot is reserved for one conversation at most; so no decoder uses more than it has."
    return forall(Slot, Conversation, Conversation, lambda s, c, q: implies(holds(s, c) & holds(s, q), c == q))


@conserve.invariant("conserve.oracle-suffices")
def oracle_suffices() -> Bool:
    "I4: with peaks known beforehand no conversation ever lacks room."
    return forall(Conversation, lambda c: implies(oracle(), ~over(c)))


@conserve.invariant("conserve.used-is-held-by-the-bound")
def used_is_held_by_the_bound() -> Bool:
    "I5: what is reserved on a decoder is reserved for conversations bound to it, and each of those has something."
    return conj(
        forall(Slot, Conversation, lambda s, c: implies(holds(s, c), bound(c) & (home(s) == at(c)))),
        forall(Conversation, lambda c: implies(bound(c), exists(Slot, lambda s: holds(s, c)))),
    )


@conserve.step_property("conserve.reserved-when-chosen")
def reserved_when_chosen() -> Bool:
    "I6: a conversation is bound in the very step that reserves for it, there, slots that were free."
    return forall(
        Conversation,
        Slot,
        lambda c, s: implies(
            ~bound(c) & bound.next(c),
            exists(Slot, lambda t: holds.next(t, c))
            & implies(holds.next(s, c), free(s) & (home(s) == at.next(c)) & ~down(home(s))),
        ),
    )


@conserve.invariant("conserve.grows-by-observation-only")
def grows_by_observation_only() -> Bool:
    "What is taken after the binding is reserved for somebody; with peaks known beforehand nothing is."
    return forall(Slot, lambda s: implies(extra(s), ~oracle() & ~free(s)))


@conserve.step_property("conserve.oracle-reserves-once")
def oracle_reserves_once() -> Bool:
    "With peaks known beforehand a reservation does not grow after the binding."
    return forall(Conversation, Slot, lambda c, s: implies(oracle() & bound(c) & holds.next(s, c), holds(s, c)))


@conserve.step_property("conserve.over-when-full")
def over_when_full() -> Bool:
    "A conversation lacks room only in a turn, and only when every slot of its decoder is reserved."
    return forall(
        Conversation,
        Slot,
        lambda c, s: implies(~over(c) & over.next(c), runs(c, at(c)) & implies(home(s) == at(c), ~free(s))),
    )


@conserve.invariant("conserve.moved-before-decoded")
def moved_before_decoded() -> Bool:
    "I7: the KV cache moves before the first decode, and a conversation ends after it."
    return forall(Conversation, lambda c: implies(served(c), sent(c)) & implies(done(c), served(c)))


@conserve.step_property("conserve.first-come-first-served")
def first_come_first_served() -> Bool:
    "Nobody is bound while somebody waits who has waited for longer, and nobody's place in line is lost."
    return forall(
        Conversation,
        Conversation,
        lambda p, q: implies(before(p, q), ~bound.next(q) & implies(waits(p) & ~bound.next(p), before.next(p, q))),
    )


@conserve.invariant("conserve.one-line")
def one_line() -> Bool:
    "Those who wait stand in one line."
    return conj(
        forall(Conversation, Conversation, lambda p, q: implies(before(p, q), waits(p) & waits(q) & ~before(q, p))),
        forall(
            Conversation,
            Conversation,
            Conversation,
            lambda p, q, r: implies(before(p, q) & before(q, r), before(p, r)),
        ),
        forall(
            Conversation,
            Conversation,
            lambda p, q: implies(waits(p) & waits(q) & (p != q), before(p, q) | before(q, p)),
        ),
    )


@conserve.step_property("conserve.only-what-was-there")
def only_what_was_there() -> Bool:
    "I1: what makes a conversation begin anew is the crash of the very decoder it is bound to, and nothing else."
    return forall(
        Conversation,
        lambda c: (
            implies(~lost(c) & lost.next(c), bound(c) & ~bound.next(c) & down.next(at(c)))
            & implies(prefilled(c) & ~prefilled.next(c), lost.next(c) & ~bound.next(c))
        ),
    )


@conserve.invariant("conserve.room-comes-back")
def room_comes_back() -> Bool:
    "L1, the part about states: a decoder that nobody is bound to has every slot free, so what fits into it is placed."
    return forall(
        Slot,
        lambda s: implies(forall(Conversation, lambda c: ~(bound(c) & (at(c) == home(s)))), free(s)),
    )


@conserve.lemma("conserve.stages")
def stages() -> Bool:
    "A conversation arrives, is prefilled, bound, moved, ended, in this order."
    return conj(
        forall(Conversation, lambda c: implies(prefilled(c), arrived(c))),
        forall(Conversation, lambda c: implies(bound(c), prefilled(c) & ~done(c) & ~down(at(c)))),
        forall(Conversation, lambda c: implies(done(c), prefilled(c))),
        forall(Conversation, lambda c: implies(moved(c), sent(c) & (bound(c) | done(c)))),
        forall(Conversation, lambda c: implies(sent(c), lost(c) | moved(c))),
    )


@conserve.variant(
    "conserve.every-stage-passes",
    Conversation,
    decreases=("arrive", "prefill", "bind", "transfer", "finish"),
    raised_by=("crash",),
)
def every_stage_passes(c: Conversation) -> tuple[Bool, ...]:
    "L1, the part about runs: between crashes, a conversation takes at most five steps beside its turns, then is done."
    return ~arrived(c), ~prefilled(c), ~bound(c) & ~done(c), ~moved(c), ~done(c)


@conserve.reachable("conserve.reach-line")
def reach_line() -> Bool:
    "A conversation whose decoder crashed waits again, behind another."
    return exists(Conversation, Conversation, lambda p, q: before(p, q) & lost(q))


@conserve.reachable("conserve.reach-twice")
def reach_twice() -> Bool:
    "A conversation whose decoder crashed runs on another one, after a second transfer."
    return exists(Conversation, lambda c: twice(c) & runs(c, at(c)))


@conserve.reachable("conserve.reach-over")
def reach_over() -> Bool:
    "A conversation has outgrown its decoder and goes on there."
    return exists(Conversation, lambda c: over(c) & runs(c, at(c)) & ~lost(c))


@conserve.reachable("conserve.reach-grown")
def reach_grown() -> Bool:
    "A conversation that has grown beyond its reservation ends, and another one takes its room."
    return exists(Slot, lambda s: extra(s)) & exists(Conversation, lambda c: done(c) & ~lost(c))


EQUIVALENT: Final = {
    "conserve.begin.idle@39dd4406": (
        "a turn of it can run only where it is bound, and there a second begin changes nothing"
    ),
    "conserve.begin.idle~0@33ff31a2": (
        "a turn of it can run only where it is bound, and there a second begin changes nothing"
    ),
    "conserve.end.runs@7595d020": "to end a turn that does not run changes nothing",
    "conserve.crash.up@de3bb117": "nobody is bound to a decoder that is down, so a second crash changes nothing",
}
