"""Delivery: notifications that come while their reader is generating, and notifications that overtake each other.

An inference begins with a context: the notifications that its agent has consumed. Others may come at any moment, and a
call that was inferred without one of them is bounced (``mtpo.consumed-before-action``). So an engine may stop the
inference when one arrives: nothing is lost but tokens, since its call would have been bounced whenever it had come
(finding F6). In ``mtpo`` a notification is unread from the step that makes it; here it is sent, arrives at its reader,
perhaps after a later one, and is consumed, perhaps much later. A bounce hands over what has not arrived.

What a notification tells of a premise is the value at the premise's position, which goes on changing while the
notification is on its way. Either it carries the value of when it was sent, and is consumed in order (``orderly``), or
the value is looked up when it is consumed (``lookup``); with neither, the value told last can be an old one.

One reader is modelled: readers do not meet but in what changes their premises, which may be anything here.
"""

from __future__ import annotations

from typing import Final

from mtpo.spec.language import Bool, OrderedSort, Sort, Spec, conj, exists, forall, iff, implies, ite, require

delivery: Final = Spec("delivery", __doc__)


class Inference(Sort):
    """one generation of the reader: if it comes to its end, it emits one call"""


class Premise(Sort):
    """an object as a call of the reader sees it"""


class Note(OrderedSort):
    """a notification; the order is that in which they are sent"""


class Value(Sort):
    """what there is at the position of a premise"""


about = delivery.const("about", Note, to=Premise, doc="the premise that the notification tells of")
given = delivery.const("given", Premise, to=Value, doc="what the reader saw first")
orderly = delivery.const("orderly", doc="notifications about one premise arrive, and are consumed, in the order sent")
lookup = delivery.const("lookup", doc="the value is looked up at consumption; otherwise the notification carries it")

now = delivery.var("now", Premise, to=Value, init=lambda p: given(p), doc="the value at the premise's position")
told = delivery.var("told", Premise, to=Value, init=lambda p: given(p), doc="what the reader was told last")

sent = delivery.var("sent", Note, init=lambda n: False, doc="it is made, and on its way")
carried = delivery.var("carried", Note, to=Value, init=lambda n: given(about(n)), doc="the value of when it was sent")
arrived = delivery.var("arrived", Note, init=lambda n: False, doc="it is in the reader's inbox, or has been")
consumed = delivery.var("consumed", Note, init=lambda n: False, doc="it is in the reader's context")

begun = delivery.var("begun", Inference, init=lambda i: False, doc="it has begun")
generating = delivery.var("generating", Inference, init=lambda i: False, doc="it goes on")
seen = delivery.var(
    "seen", Inference, Note, init=lambda i, n: False, doc="it began with the notification in its context"
)
accepted = delivery.var("accepted", Inference, init=lambda i: False, doc="its call was accepted")
bounced = delivery.var("bounced", Inference, init=lambda i: False, doc="its call was bounced")
stopped = delivery.var("stopped", Inference, init=lambda i: False, doc="it was stopped, and emits no call")


def unread(n: Note) -> Bool:
    """It is sent, and the reader has not consumed it."""
    return sent(n) & ~consumed(n)


def idle() -> Bool:
    """The reader does not generate."""
    return forall(Inference, lambda i: ~generating(i))


def lacks(i: Inference) -> Bool:
    """A notification has been sent that is not in the inference's context: its call would be bounced."""
    return exists(Note, lambda n: sent(n) & ~seen(i, n))


# -- actions -----------------------------------------------------------------------------------------------------------


@delivery.action
def change(p: Premise, v: Value, n: Note) -> None:
    "Somebody changes what there is at a premise's position; a notification is sent with it."
    require("about-it", about(n) == p)
    require("newer", forall(Note, lambda m: implies(sent(m), m < n)))
    now[p] = v
    sent[n] = True
    carried[n] = v


@delivery.action
def arrive(n: Note) -> None:
    "A notification comes to the reader's inbox; it may have overtaken others, if that is not excluded."
    require("sent", sent(n) & ~arrived(n))
    require(
        "in-order",
        implies(orderly(), forall(Note, lambda m: implies(sent(m) & (m < n) & (about(m) == about(n)), arrived(m)))),
    )
    arrived[n] = True


@delivery.action
def deliver(n: Note) -> None:
    "The reader, between two inferences, consumes a notification."
    require("idle", idle())
    require("arrived", arrived(n))
    require("once", ~consumed(n))
    require(
        "in-order",
        implies(orderly(), forall(Note, lambda m: implies(arrived(m) & (m < n) & (about(m) == about(n)), consumed(m)))),
    )
    consumed[n] = True
    told[about(n)] = ite(lookup(), now(about(n)), carried(n))


@delivery.action
def begin(i: Inference) -> None:
    "An inference begins, its context being what was consumed."
    require("new", ~begun(i))
    require("idle", idle())
    require("inbox-empty", forall(Note, lambda n: implies(arrived(n), consumed(n))))
    begun[i] = True
    generating[i] = True
    seen.becomes(lambda j, n: ite(j == i, consumed(n), seen(j, n)))


@delivery.action
def accept(i: Inference) -> None:
    "The inference comes to its end, and its call is accepted."
    require("generating", generating(i))
    require("nothing-unread", forall(Note, lambda n: ~unread(n)))
    generating[i] = False
    accepted[i] = True


@delivery.action
def bounce(i: Inference) -> None:
    "The inference comes to its end, and its call is bounced; what is unread comes back with it."
    require("generating", generating(i))
    require("unread", exists(Note, lambda n: unread(n)))
    generating[i] = False
    bounced[i] = True
    arrived.becomes(lambda n: sent(n))


@delivery.action
def stop(i: Inference) -> None:
    "The engine ends the inference, because a notification has arrived."
    require("generating", generating(i))
    require("notified", exists(Note, lambda n: arrived(n) & ~consumed(n)))
    generating[i] = False
    stopped[i] = True


# -- assumptions -------------------------------------------------------------------------------------------------------


@delivery.assume("delivery.order-or-lookup")
def order_or_lookup() -> Bool:
    "Notifications keep their order, or tell the value of when they are consumed."
    return orderly() | lookup()


# -- properties --------------------------------------------------------------------------------------------------------


@delivery.step_property("delivery.consumed-before-action")
def consumed_before_action() -> Bool:
    "A call is accepted only if every notification that was sent was in the context that it was inferred from."
    return forall(Inference, lambda i: implies(accepted.next(i) & ~accepted(i), ~lacks(i) & generating(i)))


@delivery.invariant("delivery.stop-loses-nothing")
def stop_loses_nothing() -> Bool:
    "What was stopped lacks a notification, as what was bounced does; neither was accepted."
    return forall(Inference, lambda i: implies(stopped(i) | bounced(i), lacks(i) & ~accepted(i) & ~generating(i)))


@delivery.step_property("delivery.doomed-for-good")
def doomed_for_good() -> Bool:
    "An inference that lacks a notification lacks it for ever, and its call is never accepted: it may be stopped."
    return forall(
        Inference,
        lambda i: implies(
            begun(i) & lacks(i),
            exists(Note, lambda n: sent.next(n) & ~seen.next(i, n)) & iff(accepted.next(i), accepted(i)),
        ),
    )


@delivery.step_property("delivery.stop-is-a-bounce")
def stop_is_a_bounce() -> Bool:
    "A stop comes only when a bounce could, and does what that does: nothing is accepted, changed, consumed or told."
    return forall(
        Inference,
        lambda i: implies(
            (stopped.next(i) & ~stopped(i)) | (bounced.next(i) & ~bounced(i)),
            conj(
                generating(i) & ~generating.next(i) & exists(Note, lambda n: unread(n)),
                forall(
                    Inference,
                    lambda j: conj(
                        iff(accepted.next(j), accepted(j)),
                        iff(begun.next(j), begun(j)),
                        implies(j != i, iff(generating.next(j), generating(j))),
                    ),
                ),
                forall(Note, lambda n: iff(sent.next(n), sent(n)) & iff(consumed.next(n), consumed(n))),
                forall(Premise, lambda p: (now.next(p) == now(p)) & (told.next(p) == told(p))),
            ),
        ),
    )


@delivery.step_property("delivery.no-needless-end")
def no_needless_end() -> Bool:
    "An inference that lacks nothing comes to its end, and its call is accepted."
    return forall(Inference, lambda i: implies(generating(i) & ~lacks(i), generating.next(i) | accepted.next(i)))


@delivery.invariant("delivery.told-newest")
def told_newest() -> Bool:
    "Who has consumed all that was sent about a premise was told last what there is now."
    return forall(
        Premise,
        lambda p: implies(forall(Note, lambda n: implies(about(n) == p, ~unread(n))), told(p) == now(p)),
    )


@delivery.step_property("delivery.told-by-the-note")
def told_by_the_note() -> Bool:
    "Who consumes a notification is told what it carries, or, if the value is looked up then, what there is now."
    return forall(
        Note,
        lambda n: implies(
            consumed.next(n) & ~consumed(n), told.next(about(n)) == ite(lookup(), now(about(n)), carried(n))
        ),
    )


@delivery.step_property("delivery.acts-on-the-newest")
def acts_on_the_newest() -> Bool:
    "When a call is accepted its author had, in the context it was inferred from, what there is now."
    return forall(
        Inference,
        Premise,
        lambda i, p: implies(accepted.next(i) & ~accepted(i), (told(p) == now(p)) & (now.next(p) == now(p))),
    )


@delivery.step_property("delivery.every-change-is-told")
def every_change_is_told() -> Bool:
    "No value changes without a notification about it, which is unread."
    return forall(
        Premise,
        lambda p: implies(
            now.next(p) != now(p), exists(Note, lambda n: (about(n) == p) & ~sent(n) & sent.next(n) & ~consumed.next(n))
        ),
    )


@delivery.step_property("delivery.context-is-fixed")
def context_is_fixed() -> Bool:
    "What an inference knows is settled when it begins; nothing is consumed while one goes on."
    return forall(
        Inference,
        Note,
        lambda i, n: conj(
            implies(begun(i), iff(seen.next(i, n), seen(i, n))),
            implies(generating(i), iff(consumed.next(n), consumed(n))),
            implies(begun.next(i) & ~begun(i), iff(seen.next(i, n), consumed(n))),
        ),
    )


@delivery.step_property("delivery.nothing-is-unsent")
def nothing_is_unsent() -> Bool:
    "A notification stays sent, arrived and consumed."
    return forall(
        Note,
        lambda n: conj(
            implies(sent(n), sent.next(n)),
            implies(arrived(n), arrived.next(n)),
            implies(consumed(n), consumed.next(n)),
        ),
    )


@delivery.invariant("delivery.one-inference")
def one_inference() -> Bool:
    "The reader generates one thing at a time."
    return forall(Inference, Inference, lambda i, j: implies(generating(i) & generating(j), i == j))


@delivery.lemma("delivery.stages")
def stages() -> Bool:
    "A notification is sent, arrives, is consumed; an inference begins, goes on, and ends in one way."
    return conj(
        forall(Note, lambda n: implies(consumed(n), arrived(n)) & implies(arrived(n), sent(n))),
        forall(Inference, lambda i: implies(generating(i) | accepted(i) | bounced(i) | stopped(i), begun(i))),
        forall(Inference, lambda i: ~(generating(i) & accepted(i)) & ~(bounced(i) & stopped(i))),
        forall(Inference, Note, lambda i, n: implies(generating(i), iff(seen(i, n), consumed(n)))),
        forall(Inference, Note, lambda i, n: implies(seen(i, n), consumed(n))),
    )


@delivery.lemma("delivery.in-order")
def in_order() -> Bool:
    "The newest notification about a premise carries what there is now; where order is kept it is consumed last."
    return conj(
        forall(
            Note,
            lambda n: implies(
                sent(n),
                (carried(n) == now(about(n))) | exists(Note, lambda m: sent(m) & (n < m) & (about(m) == about(n))),
            ),
        ),
        forall(
            Note,
            Note,
            lambda m, n: implies(
                orderly() & (m < n) & (about(m) == about(n)) & sent(m),
                implies(arrived(n), arrived(m)) & implies(consumed(n), consumed(m)),
            ),
        ),
    )


@delivery.variant(
    "delivery.gets-through",
    Note,
    decreases=("arrive", "deliver", "begin", "bounce", "stop"),
    raised_by=("change", "accept"),
)
def gets_through(n: Note) -> tuple[Bool, ...]:
    "If changes stop, a call is accepted: stops, bounces and new beginnings use up what is on its way or unread."
    return (
        sent(n) & ~arrived(n),
        unread(n),
        arrived(n) & ~consumed(n) & ~idle(),
        idle(),
    )


@delivery.reachable("delivery.reach-stopped")
def reach_stopped() -> Bool:
    "After one inference was stopped, the call of another one was accepted."
    return exists(Inference, Inference, lambda i, j: stopped(i) & accepted(j))


@delivery.reachable("delivery.reach-bounced-early")
def reach_bounced_early() -> Bool:
    "A call was bounced for a notification that had not arrived."
    return exists(Inference, lambda i: bounced(i)) & forall(Note, lambda n: ~consumed(n))


@delivery.reachable("delivery.reach-overtaken")
def reach_overtaken() -> Bool:
    "A notification has been consumed before an older one about the same premise."
    return exists(Note, Note, lambda m, n: (m < n) & (about(m) == about(n)) & unread(m) & consumed(n))
