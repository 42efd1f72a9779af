"""Names that nest: a directory and its files, a table and its rows.

A footprint may name a node of a tree and mean all that is under it, what does not exist yet included. Two footprints
conflict if a name of one is, or is over, a name of the other. That is the same as a conflict on some leaf
(``names.reduction``), so what ``mtpo`` proves of flat objects holds of names: an object there is a leaf here, and a
name stands for its leaves.

A resource need not know of trees to be right. ``enumerate`` reads what is under a node without naming it: the listing
of each directory that is there, flat objects all. Who creates something writes the listings that change: that of the
deepest directory that was there, and those of the directories that appear with it; who removes something, likewise.
So whoever had enumerated meets one of them, and there is no phantom (``names.no-phantom``), not even for who looked at
a directory that was not there. The file and git tools of the core name what they touch in this way.
"""

from __future__ import annotations

from typing import Final

from mtpo.spec.language import Bool, Sort, Spec, conj, exists, forall, iff, implies, ite, require

names: Final = Spec("names", __doc__)


class Node(Sort):
    """a name: of a leaf, a file or row, or of what holds others, a directory or table"""


class Call(Sort):
    """one use of a tool"""


over = names.const("over", Node, Node, doc="the first is the second, or the second is under it")
leaf = names.const("leaf", Node, doc="nothing can be under it")
root = names.const("root", to=Node, doc="is over all")
some = names.const("some", Node, to=Node, doc="a leaf under the node, there or not")
footprint = names.const("footprint", Call, Node, doc="the call names the node")

there = names.var("there", Node, init=lambda n: n == root(), doc="exists; a directory as long as something is under it")
locks = names.var("locks", Call, init=lambda c: False, doc="the call has its footprint, and all under it, to itself")
listed = names.var("listed", Call, Node, init=lambda c, n: False, doc="the call enumerated what is under the node")
looked = names.var("looked", Call, Node, init=lambda c, n: False, doc="the flat objects that it read for that")
saw = names.var("saw", Call, Node, init=lambda c, n: False, doc="was there when the call enumerated, or was told last")
told = names.var("told", Call, init=lambda c: False, doc="a notification waits for the call's author")


def meet(n: Node, m: Node) -> Bool:
    """Footprints that name n and m conflict."""
    return over(n, m) | over(m, n)


def holds(c: Call, n: Node) -> Bool:
    """c has n, which it names, to itself."""
    return locks(c) & footprint(c, n)


def inside(p: Node, x: Node, m: Node) -> Bool:
    """x is on the way from p, which is over it, to m."""
    return over(p, x) & over(x, m)


def within(c: Call, n: Node, p: Node) -> None:
    """The clause of who changes something under p: it is in its footprint."""
    require("in-footprint", holds(c, n) & over(n, p))


def notify(p: Node, m: Node) -> None:
    """Whoever looked at an object that is written, a listing or what it lists, is told."""
    told.becomes(lambda d: told(d) | exists(Node, lambda x: looked(d, x) & inside(p, x, m)))


# -- actions -------------------------------------------------------------------------------------------------------


@names.action
def lock(c: Call) -> None:
    "A call takes its names, all at once."
    require("new", ~locks(c))
    require(
        "free",
        forall(Node, Node, Call, lambda n, m, d: implies(footprint(c, n) & holds(d, m) & (d != c), ~meet(n, m))),
    )
    locks[c] = True


@names.action
def unlock(c: Call) -> None:
    "A call lets its names go."
    require("locked", locks(c))
    locks[c] = False


@names.action
def enumerate_(c: Call, n: Node) -> None:
    "A call reads what is under a node: it, and the listings of what is there."
    require("fresh", forall(Node, lambda m: ~listed(c, m)))
    require("unlocked", forall(Call, Node, lambda d, m: implies(holds(d, m), ~meet(n, m))))
    listed[c, n] = True
    looked.becomes(lambda d, m: ite(d == c, (m == n) | (over(n, m) & there(m)), looked(d, m)))
    saw.becomes(lambda d, m: ite(d == c, there(m), saw(d, m)))


@names.action
def create(c: Call, n: Node, p: Node, m: Node) -> None:
    "A leaf appears, with the directories on the way to it; the listings from the deepest that was there are written."
    require("new-leaf", leaf(m) & ~there(m))
    require("deepest", there(p) & over(p, m) & forall(Node, lambda x: implies(there(x) & over(x, m), over(x, p))))
    within(c, n, p)
    there.becomes(lambda x: there(x) | inside(p, x, m))
    notify(p, m)


@names.action
def remove(c: Call, n: Node, p: Node, m: Node) -> None:
    "A leaf goes, with the directories that this leaves empty; the listing of the deepest that stays is written too."
    require("leaf", leaf(m) & there(m))
    require("stays", over(p, m))
    require(
        "emptied",
        forall(
            Node,
            Node,
            lambda x, y: implies(inside(p, x, m) & (x != p) & over(x, y) & there(y), over(y, m)),
        ),
    )
    require(
        "deepest",
        (p == root()) | exists(Node, lambda y: there(y) & leaf(y) & over(p, y) & (y != m)),
    )
    within(c, n, p)
    there.becomes(lambda x: there(x) & ~(inside(p, x, m) & (x != p)))
    notify(p, m)


@names.action
def refresh(c: Call, n: Node) -> None:
    "The author of a call learns what is under the node now."
    require("told", told(c) & listed(c, n))
    require("unlocked", forall(Call, Node, lambda d, m: implies(holds(d, m), ~meet(n, m))))
    told[c] = False
    looked.becomes(lambda d, m: ite(d == c, (m == n) | (over(n, m) & there(m)), looked(d, m)))
    saw.becomes(lambda d, m: ite(d == c, there(m), saw(d, m)))


_ELSEWHERE: Final = "where p is not over the leaf nothing is on the way to it, and nothing happens"
_ALL_UNDER: Final = (
    "who looked at something over the leaf had enumerated it, and all that was under it: it is told anyway"
)

EQUIVALENT: Final = {
    "names.create.deepest/1@6c6b7cb9": _ELSEWHERE,
    "names.remove.stays@b3f8e483": _ELSEWHERE,
    "names.create.deepest/2@a37e8426": _ALL_UNDER,
    "names.create.deepest~0@645a9fa4": _ALL_UNDER,
    "names.create.told:=~0@9a2d865b": _ALL_UNDER,
    "names.remove.told:=~0@9a2d865b": _ALL_UNDER,
    "names.create.there:=~0@f46907d0": "what is over p is there already",
}

# -- assumptions ---------------------------------------------------------------------------------------------------


@names.assume("names.tree")
def tree() -> Bool:
    "Names form a tree under the root; under every name there is a leaf, or could be."
    return conj(
        forall(Node, lambda n: over(n, n) & over(root(), n) & over(n, some(n)) & leaf(some(n))),
        forall(Node, Node, lambda n, m: implies(over(n, m) & over(m, n), n == m)),
        forall(Node, Node, Node, lambda n, m, k: implies(over(n, m) & over(m, k), over(n, k))),
        forall(Node, Node, Node, lambda n, m, k: implies(over(n, k) & over(m, k), meet(n, m))),
        forall(Node, Node, lambda n, m: implies(leaf(n) & over(n, m), n == m)),
        ~leaf(root()),
    )


# -- properties ----------------------------------------------------------------------------------------------------


@names.invariant("names.reduction")
def reduction() -> Bool:
    "Two names conflict if and only if there is a leaf under both; one that is under the lower of them will do."
    return conj(
        forall(Node, Node, Node, lambda n, m, k: implies(leaf(k) & over(n, k) & over(m, k), meet(n, m))),
        forall(Node, Node, lambda n, m: implies(meet(n, m), over(n, some(m)) | over(m, some(n)))),
        forall(Node, lambda n: leaf(some(n)) & over(n, some(n))),
    )


@names.invariant("names.exclusive")
def exclusive() -> Bool:
    "A name that a call holds keeps others from all that is over it or under it."
    return forall(Call, Call, Node, Node, lambda c, d, n, m: implies(holds(c, n) & holds(d, m) & (c != d), ~meet(n, m)))


@names.invariant("names.one-holder")
def one_holder() -> Bool:
    "No leaf, there or not, is under names of two calls."
    return forall(
        Call,
        Call,
        lambda c, d: forall(
            Node,
            Node,
            Node,
            lambda n, m, k: implies(
                holds(c, n) & holds(d, m) & leaf(k) & over(n, k) & over(m, k),
                c == d,
            ),
        ),
    )


@names.invariant("names.no-phantom")
def no_phantom() -> Bool:
    "What a call has enumerated is what is there, absent things included, or its author is to be told."
    return forall(
        Call,
        Node,
        Node,
        lambda c, n, m: implies(listed(c, n) & over(n, m) & ~told(c), iff(saw(c, m), there(m))),
    )


@names.step_property("names.told-of-change")
def told_of_change() -> Bool:
    "Nobody is told but of a change under the node that it enumerated."
    return forall(
        Call,
        lambda c: implies(
            told.next(c) & ~told(c),
            exists(
                Node,
                Node,
                lambda n, m: listed(c, n) & over(n, m) & ~iff(there.next(m), there(m)),
            ),
        ),
    )


@names.step_property("names.within-footprint")
def within_footprint() -> Bool:
    "What appears or goes is under a name that a call holds."
    return forall(
        Node,
        lambda m: implies(~iff(there.next(m), there(m)), exists(Call, Node, lambda c, n: holds(c, n) & over(n, m))),
    )


@names.step_property("names.read-outside-locks")
def read_outside_locks() -> Bool:
    "Nobody enumerates, or is told, what another has in hand: from the top or from below."
    return forall(
        Call,
        Node,
        Call,
        Node,
        lambda c, n, d, m: implies(
            ((listed.next(c, n) & ~listed(c, n)) | (listed(c, n) & told(c) & ~told.next(c))) & holds(d, m), ~meet(n, m)
        ),
    )


@names.step_property("names.one-leaf")
def one_leaf() -> Bool:
    "A step makes or removes one leaf at most, and directories over it."
    return forall(
        Node,
        Node,
        lambda n, m: implies(~iff(there.next(n), there(n)) & ~iff(there.next(m), there(m)), meet(n, m)),
    )


@names.step_property("names.let-go")
def let_go() -> Bool:
    "A step that takes or lets go names does so for one call, and changes nothing that is there."
    return conj(
        forall(Call, Call, lambda c, d: implies(~iff(locks.next(c), locks(c)) & ~iff(locks.next(d), locks(d)), c == d)),
        implies(
            exists(Call, lambda c: ~iff(locks.next(c), locks(c))),
            forall(Node, lambda n: iff(there.next(n), there(n))),
        ),
    )


@names.variant("names.freed", Call, decreases=("unlock",), raised_by=("lock",))
def freed(c: Call) -> tuple[Bool, ...]:
    "To let go sets names free."
    return (locks(c),)


@names.variant("names.taken", Call, decreases=("lock",), raised_by=("unlock",))
def taken(c: Call) -> tuple[Bool, ...]:
    "Who takes its names was without."
    return (~locks(c),)


@names.invariant("names.path")
def path() -> Bool:
    "Over what is there is nothing that is not; the root always is; a directory is there for a leaf under it."
    return conj(
        there(root()),
        forall(Node, Node, lambda n, m: implies(there(m) & over(n, m), there(n))),
        forall(
            Node,
            lambda n: implies(there(n) & (n != root()), exists(Node, lambda k: there(k) & leaf(k) & over(n, k))),
        ),
    )


@names.lemma("names.looked-at")
def looked_at() -> Bool:
    "A call enumerates one node, and has looked at it and at all that it saw."
    return conj(
        forall(Call, Node, Node, lambda c, n, m: implies(listed(c, n) & listed(c, m), n == m)),
        forall(
            Call,
            Node,
            Node,
            lambda c, n, m: implies(listed(c, n), iff(looked(c, m), (m == n) | (over(n, m) & saw(c, m)))),
        ),
        forall(Call, Node, lambda c, m: implies(looked(c, m), exists(Node, lambda n: listed(c, n)))),
        forall(Call, lambda c: implies(told(c), exists(Node, lambda n: listed(c, n)))),
    )


@names.variant("names.notes-consumed", Call, decreases=("refresh",), raised_by=("create", "remove"))
def notes_consumed(c: Call) -> tuple[Bool, ...]:
    "Without new changes notifications are used up."
    return (told(c),)


@names.reachable("names.reach-phantom")
def reach_phantom() -> Bool:
    "Something has appeared under a directory that was enumerated, in another that appeared with it."
    return exists(
        Call,
        lambda c: exists(
            Node,
            Node,
            Node,
            lambda n, d, m: conj(
                told(c) & listed(c, n),
                over(n, d) & over(d, m) & (n != d) & (d != m),
                there(m) & saw(c, n) & ~saw(c, d),
            ),
        ),
    )


@names.reachable("names.reach-absent")
def reach_absent() -> Bool:
    "A directory has appeared that somebody had found absent."
    return exists(Call, Node, lambda c, n: told(c) & listed(c, n) & there(n) & ~saw(c, n))


@names.reachable("names.reach-side-by-side")
def reach_side_by_side() -> Bool:
    "Two calls hold names side by side."
    return exists(Call, Call, lambda c, d: (c != d) & exists(Node, Node, lambda n, m: holds(c, n) & holds(d, m)))
