"""Conversations bound to decoders, first come, first served, through the loss of workers.

As ConServe (arXiv 2606.01839) a conversation is bound to one decoder, chosen and reserved on in one step, for the rest
of its life. What is added: a conversation joins the line for decoders once and keeps its place in it for good; when its
decoder, or the prefiller that has its KV cache, is lost, it is prefilled anew and is placed before everybody who came
later. And a prompt may be computed on the decoder itself (``bind_local``), while nobody is passed over by that, so that
conversations go on without any prefiller. Room is a set of slots; how a conversation grows beyond what was reserved is
in ``spec/conserve.py``.
"""

from __future__ import annotations

from typing import Final

from mtpo.spec.language import Bool, Function, Sort, Spec, conj, exists, forall, function, iff, implies, require

failover: Final = Spec("failover", __doc__)


class Conversation(Sort):
    """a conversation"""


class Decoder(Sort):
    """a worker that decodes"""


class Slot(Sort):
    """room for some of a conversation's KV cache"""


home = failover.const("home", Slot, to=Decoder, doc="the decoder that the slot is on")
nowhere = failover.const("nowhere", to=Decoder, doc="what `at` is while a conversation is not bound, at first")

arrived = failover.var("arrived", Conversation, init=lambda c: False, doc="its first turn was asked for")
prefilled = failover.var("prefilled", Conversation, init=lambda c: False, doc="the KV cache of its prompt is computed")
ranked = failover.var("ranked", Conversation, init=lambda c: False, doc="it has a place in the line for decoders")
before = failover.var(
    "before", Conversation, Conversation, init=lambda p, q: False, doc="the place of the first is before the second's"
)
bound = failover.var("bound", Conversation, init=lambda c: False, doc="it is bound to the decoder `at`")
at = failover.var("at", Conversation, to=Decoder, init=lambda c: nowhere(), doc="the decoder it was bound to last")
holds = failover.var("holds", Slot, Conversation, init=lambda s, c: False, doc="the slot is reserved for it")
source = failover.var("source", Conversation, init=lambda c: False, doc="a prefiller has its KV cache")
there = failover.var("there", Conversation, init=lambda c: False, doc="its KV cache is on the decoder it is bound to")
sent = failover.var("sent", Conversation, init=lambda c: False, doc="its KV cache was moved at least once")
twice = failover.var("twice", Conversation, init=lambda c: False, doc="its KV cache was moved more than once")
runs = failover.var("runs", Conversation, Decoder, init=lambda c, d: False, doc="a turn of it runs there")
served = failover.var("served", Conversation, init=lambda c: False, doc="a turn of it has begun to decode")
done = failover.var("done", Conversation, init=lambda c: False, doc="it has ended")
down = failover.var("down", Decoder, init=lambda d: False, doc="the decoder is lost")
lost = failover.var("lost", Conversation, init=lambda c: False, doc="a worker that had its KV cache was lost")


def prefilling(c: Conversation) -> Bool:
    """It is to be prefilled, on a prefiller or wherever it is bound first."""
    return arrived(c) & ~prefilled(c) & ~bound(c) & ~done(c)


def waits(c: Conversation) -> Bool:
    """It is prefilled and has no decoder."""
    return prefilled(c) & ~bound(c) & ~done(c)


def free(s: Slot) -> Bool:
    """The slot is reserved for nobody."""
    return forall(Conversation, lambda c: ~holds(s, c))


def idle(c: Conversation) -> Bool:
    """No turn of it runs."""
    return forall(Decoder, lambda d: ~runs(c, d))


def ahead(q: Conversation, c: Conversation) -> Bool:
    """The place of q is before that of c; who has none yet comes last."""
    return before(q, c) | (ranked(q) & ~ranked(c))


def join(c: Conversation) -> None:
    """It takes the last place, unless it has one."""
    before.becomes(lambda p, q: before(p, q) | ((q == c) & ~ranked(c) & ranked(p)))
    ranked[c] = True


def reserve(c: Conversation, d: Decoder, out: Function[Bool]) -> None:
    """Choice and reservation are one step."""
    require("up", ~down(d))
    require("some", exists(Slot, lambda s: out(s)))
    require("there", forall(Slot, lambda s: implies(out(s), home(s) == d)))
    require("free", forall(Slot, lambda s: implies(out(s), free(s))))
    bound[c] = True
    at[c] = d
    holds.becomes(lambda s, q: holds(s, q) | ((q == c) & out(s)))


# -- actions -----------------------------------------------------------------------------------------------------------


@failover.action
def arrive(c: Conversation) -> None:
    "A conversation's first turn goes to a prefiller."
    require("new", ~arrived(c))
    arrived[c] = True


@failover.action
def prefill(c: Conversation) -> None:
    "Its prompt is computed on a prefiller; it joins the line for decoders, or is back at its place."
    require("prefilling", prefilling(c))
    prefilled[c] = True
    source[c] = True
    join(c)


@failover.action(out=function(Slot))
def bind(c: Conversation, d: Decoder, out: Function[Bool]) -> None:
    "The first of those that wait is bound to a decoder with room."
    require("waits", waits(c))
    require("first-in-line", forall(Conversation, lambda q: ~(waits(q) & before(q, c))))
    reserve(c, d, out)


@failover.action(out=function(Slot))
def bind_local(c: Conversation, d: Decoder, out: Function[Bool]) -> None:
    "One that is to be prefilled is bound at once, its prompt computed on the decoder; nobody who waits is passed over."
    require("prefilling", prefilling(c))
    require("nobody-passed", forall(Conversation, lambda q: ~(waits(q) & ahead(q, c))))
    reserve(c, d, out)
    join(c)


@failover.action
def compute(c: Conversation) -> None:
    "The decoder has computed the prompt itself: nothing is moved."
    require("bound", bound(c))
    require("not-yet", ~prefilled(c))
    prefilled[c] = True
    there[c] = True


@failover.action
def transfer(c: Conversation) -> None:
    "The KV cache goes from the prefiller to the decoder."
    require("bound", bound(c))
    require("source", source(c))
    source[c] = False
    there[c] = True
    sent[c] = True
    twice[c] = sent(c)


@failover.action
def begin(c: Conversation, d: Decoder) -> None:
    "A turn begins to decode, and with a later turn its prompt."
    require("bound", bound(c))
    require("there", (at(c) == d) & there(c))
    runs[c, d] = True
    served[c] = True


@failover.action
def end(c: Conversation, d: Decoder) -> None:
    "A turn ends; the conversation stays where it is."
    require("runs", runs(c, d))
    runs[c, d] = False


@failover.action
def finish(c: Conversation) -> None:
    "A conversation ends and gives back what was reserved."
    require("bound", bound(c))
    require("served", served(c) & there(c))
    require("idle", idle(c))
    done[c] = True
    bound[c] = False
    holds.becomes(lambda s, q: holds(s, q) & (q != c))


@failover.action
def crash(d: Decoder) -> None:
    "A decoder is lost with all caches on it; its conversations are to be prefilled anew, but for those not moved yet."
    require("up", ~down(d))
    down[d] = True
    lost.becomes(lambda c: lost(c) | (bound(c) & (at(c) == d) & ~source(c)))
    prefilled.becomes(lambda c: prefilled(c) & ~(bound(c) & (at(c) == d) & ~source(c)))
    there.becomes(lambda c: there(c) & ~(bound(c) & (at(c) == d)))
    bound.becomes(lambda c: bound(c) & (at(c) != d))
    holds.becomes(lambda s, c: holds(s, c) & (home(s) != d))
    runs.becomes(lambda c, e: runs(c, e) & (e != d))


@failover.action
def spoil(c: Conversation) -> None:
    "A prefiller is lost, and what it computed of this conversation; one that is bound goes on where it is bound."
    require("source", source(c))
    lost[c] = True
    source[c] = False
    prefilled[c] = False


# -- properties --------------------------------------------------------------------------------------------------------


@failover.invariant("failover.none-lost")
def none_lost() -> Bool:
    "A conversation that arrived and has not ended is to be prefilled, or waits in line, or is bound to a decoder up."
    return conj(
        forall(
            Conversation,
            lambda c: implies(
                arrived(c) & ~done(c), prefilling(c) | (waits(c) & ranked(c)) | (bound(c) & ~down(at(c)))
            ),
        ),
        forall(Conversation, lambda c: implies(prefilled(c) | bound(c) | done(c), arrived(c))),
        forall(Conversation, lambda c: implies(prefilled(c), iff(source(c), ~there(c)))),
    )


@failover.invariant("failover.none-twice")
def none_twice() -> Bool:
    "A conversation runs and holds room only on the one decoder it is bound to, which is up."
    return conj(
        forall(Slot, Conversation, lambda s, c: implies(holds(s, c), bound(c) & (home(s) == at(c)))),
        forall(Conversation, lambda c: implies(bound(c), exists(Slot, lambda s: holds(s, c)) & ~down(at(c)))),
        forall(
            Conversation,
            Decoder,
            lambda c, d: implies(runs(c, d), bound(c) & (at(c) == d) & prefilled(c) & there(c)),
        ),
    )


@failover.step_property("failover.keeps-its-place")
def keeps_its_place() -> Bool:
    "A place in the line is for good: no loss moves anybody behind one that came later."
    return forall(
        Conversation,
        Conversation,
        lambda p, q: (
            implies(ranked(p), ranked.next(p))
            & implies(ranked(p) & ranked(q), iff(before(p, q), before.next(p, q)))
            & implies(ranked(p) & ~ranked(q) & ranked.next(q), before.next(p, q))
        ),
    )


@failover.step_property("failover.first-come-first-served")
def first_come_first_served() -> Bool:
    "Nobody is bound while somebody waits whose place is before."
    return forall(Conversation, Conversation, lambda p, q: implies(waits(p) & ahead(p, q) & ~bound(q), ~bound.next(q)))


@failover.invariant("failover.one-line")
def one_line() -> Bool:
    "Places are in one order, and who has been prefilled or bound has one."
    return conj(
        forall(Conversation, Conversation, lambda p, q: implies(before(p, q), ranked(p) & ranked(q) & ~before(q, p))),
        forall(
            Conversation,
            Conversation,
            Conversation,
            lambda p, q, r: implies(before(p, q) & before(q, r), before(p, r)),
        ),
        forall(
            Conversation,
            Conversation,
            lambda p, q: implies(ranked(p) & ranked(q) & (p != q), before(p, q) | before(q, p)),
        ),
        forall(Conversation, lambda c: implies(prefilled(c) | bound(c), ranked(c))),
        forall(Conversation, lambda c: implies(ranked(c), arrived(c))),
    )


@failover.invariant("failover.no-overcommitment")
def no_overcommitment() -> Bool:
    "A slot is reserved for one conversation at most."
    return forall(Slot, Conversation, Conversation, lambda s, c, q: implies(holds(s, c) & holds(s, q), c == q))


@failover.step_property("failover.reserved-when-chosen")
def reserved_when_chosen() -> Bool:
    "A conversation is bound in the very step that reserves for it, there, slots that were free."
    return forall(
        Conversation,
        Slot,
        lambda c, s: implies(
            ~bound(c) & bound.next(c),
            exists(Slot, lambda t: holds.next(t, c))
            & implies(holds.next(s, c), free(s) & (home(s) == at.next(c)) & ~down(home(s))),
        ),
    )


@failover.step_property("failover.bound-until-the-end")
def bound_until_the_end() -> Bool:
    "A binding ends with the conversation or with its decoder; with a prefiller it does not."
    return forall(
        Conversation,
        lambda c: conj(
            implies(
                bound(c),
                (bound.next(c) & (at.next(c) == at(c)))
                | (done.next(c) & ~bound.next(c))
                | (~bound.next(c) & down.next(at(c))),
            ),
            implies(done(c), done.next(c) & ~bound.next(c)),
            implies(arrived(c), arrived.next(c)),
        ),
    )


@failover.invariant("failover.moved-once")
def moved_once() -> Bool:
    "A conversation's KV cache is moved at most once, unless a worker that had it was lost."
    return forall(Conversation, lambda c: implies(twice(c), lost(c)))


@failover.step_property("failover.there-before-decoded")
def there_before_decoded() -> Bool:
    "A cache comes to a decoder computed there or moved from where it was; a turn begins after that."
    return forall(
        Conversation,
        lambda c: conj(
            implies(~there(c) & there.next(c), bound(c) & prefilled.next(c) & (sent.next(c) | ~prefilled(c))),
            implies(~served(c) & served.next(c), there(c)),
            implies(~done(c) & done.next(c), served(c) & idle(c)),
            implies(there(c) & ~there.next(c), down.next(at(c))),
            implies(~prefilled(c) & prefilled.next(c), iff(bound(c), there.next(c))),
            implies(sent(c) & prefilled(c) & ~there(c) & there.next(c), twice.next(c)),
        ),
    )


@failover.step_property("failover.only-what-was-there")
def only_what_was_there() -> Bool:
    "The loss of a decoder takes nothing from who was bound elsewhere; what was computed goes with a worker only."
    return forall(
        Conversation,
        lambda c: conj(
            implies(prefilled(c) & ~prefilled.next(c), lost.next(c) & ((bound(c) & down.next(at(c))) | ~there(c))),
            implies(~lost(c) & lost.next(c), ~prefilled.next(c) & (source(c) | (bound(c) & down.next(at(c))))),
        ),
    )


@failover.invariant("failover.room-comes-back")
def room_comes_back() -> Bool:
    "A decoder that nobody is bound to has every slot free: what fits into it is placed."
    return forall(Slot, lambda s: implies(forall(Conversation, lambda c: ~(bound(c) & (at(c) == home(s)))), free(s)))


@failover.lemma("failover.stages")
def stages() -> Bool:
    "What a conversation has been through."
    return conj(
        forall(Conversation, lambda c: implies(there(c), prefilled(c) & (bound(c) | done(c)))),
        forall(Conversation, lambda c: implies(source(c), prefilled(c) & ~done(c))),
        forall(Conversation, lambda c: implies(done(c), prefilled(c) & there(c) & ~bound(c))),
        forall(Conversation, lambda c: implies(sent(c), lost(c) | there(c))),
    )


@failover.variant(
    "failover.every-stage-passes",
    Conversation,
    decreases=("arrive", "prefill", "bind", "bind_local", "compute", "transfer", "finish"),
    raised_by=("crash", "spoil"),
)
def every_stage_passes(c: Conversation) -> tuple[Bool, ...]:
    "Between losses a conversation takes at most five steps beside its turns, then is done."
    return ~arrived(c), ~prefilled(c), ~bound(c) & ~done(c), ~there(c), ~done(c)


@failover.variant("failover.turns-end", Conversation, decreases=("end",), raised_by=("begin",))
def turns_end(c: Conversation) -> tuple[Bool, ...]:
    "A turn ends once, and then runs no more."
    return (exists(Decoder, lambda d: runs(c, d)),)


@failover.reachable("failover.reach-before")
def reach_before() -> Bool:
    "One whose decoder was lost waits before another, which came later and has never been placed."
    return exists(
        Conversation, Conversation, lambda p, q: lost(p) & served(p) & waits(p) & before(p, q) & waits(q) & ~served(q)
    )


@failover.reachable("failover.reach-again")
def reach_again() -> Bool:
    "One runs again on another decoder, its cache moved twice."
    return exists(Conversation, lambda c: twice(c) & runs(c, at(c)) & exists(Decoder, lambda d: down(d)))


@failover.reachable("failover.reach-local")
def reach_local() -> Bool:
    "One is done that was prefilled where it decodes."
    return exists(Conversation, lambda c: done(c) & ~sent(c) & ~lost(c))


@failover.reachable("failover.reach-spoilt")
def reach_spoilt() -> Bool:
    "One is back in line after its prefiller was lost, and another one is done."
    return exists(Conversation, Conversation, lambda c, q: lost(c) & waits(c) & ~served(c) & done(q))


EQUIVALENT: Final = {
    "failover.prefill.prefilling/3@adff55e0": "who is done is prefilled",
    "failover.bind_local.prefilling/1@b303f53f": "to bind one that waits, passing over nobody, is what bind does",
    "failover.bind_local.prefilling/3@adff55e0": "who is done is prefilled",
    "failover.crash.up@de3bb117": "nobody is bound to a decoder that is down, so to lose it again changes nothing",
}
