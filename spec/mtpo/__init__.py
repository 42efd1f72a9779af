"""MTPO, the Monotonic Trajectory Pre-Order: the protocol.

Sources: "CoAgent" (arXiv 2606.15376) and "Notified Serializability" (SCCP at VLDB 2026), sections 3 and 4; where they
are silent the choice is ours and is named in proofs/FINDINGS.md.

A *call* is one use of a tool, read or write. Calls are totally ordered by (rank of the author, issue order): the
serial order that the run must be equivalent to, fixed before the run. A trajectory is not a list: T(o) is the set of
live writes on o, and its order is the order of calls. Each live write remembers ``base``, the write that it was applied
on, so "live equals materialized" says: the top of o is its greatest live write, and each base is its predecessor.
The initial state is the write of the ``origin``, the least call.

A write opens a *repair* (often an empty one): ``call`` fixes the closed set of later calls to undo; ``undone`` for each
of them, from the top; ``applied`` (or ``failed``); ``redone``, ``cancelled`` or ``stranded`` for each undone call, in
order; ``settle``, which tells every reader whose premise changed. Every micro-step is a step of the model, so crashes
and interleavings in the middle are in it. A repair locks every object that its call or a call to undo touches, and
closes them to everyone else; repairs that do not touch may be open at the same time.

``retract`` opens a repair that takes a call out: its author judged that it must go, or has aborted. An agent that
aborts acts no more and is told nothing; its calls are retracted, but for those that a call without an inverse came
after, which are final (F9).

A read is served from what was kept (``read``; spec/levels.py tells where from) or, where nothing was, by a call that
writes nothing: it undoes what is above it and reads, and the rest is redone, or withdrawn where the policy is to cancel
(F26).

An author may declare a predicate of what it read (``accepts``): "the image is v2", "fewer than five". A change from one
value of which it is true to another needs no notification: it is *waived*, by comparing, not by trusting anyone. That
is about what the author is told only: effects are of exactly the values at their positions, and so is a failure, which
no predicate waives (``void``, F37). A predicate that is true of nothing is none.

``external`` is somebody who changes an object without a tool. From then on no call touches it: what they did is not
overwritten. An inverse that fails is the same: nobody knows what its objects hold. The repair stays open, the run halts
where it is, which every run may.

What a run that has come to rest is worth, assuming A1 to A3, is in ``spec/serial.py``; in how many phases a
step of the trajectories is taken, and what a crash between two of them leaves, in ``spec/recovery``.

Two policies: with ``replay`` an undone call is re-applied mechanically, without it is cancelled and its author decides.
"""

from __future__ import annotations

from mtpo.spec.mtpo import properties, steps
from mtpo.spec.mtpo.model import Agent, Call, Object, Value, mtpo

__all__ = ["Agent", "Call", "Object", "Value", "mtpo", "properties", "steps"]
