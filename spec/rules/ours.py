"""Scheduling policies of this project: what each adds to the published one beside it."""

from __future__ import annotations

from typing import Final

from mtpo.spec.rules.rule import rules_of

_gap = rules_of("gap")
_failover = rules_of("failover")
_footprint = rules_of("footprint")

GAP: Final = (
    _gap(
        "bound",
        "ours, F19, F20",
        "No more than a bound passes between two tokens of a request, whatever arrives.",
        "bounded within-bound time-adds-up extend run reach-gap",
        "The time model is taken as exact; that blocks of the cache never run short is kept by the policy, and tested.",
    ),
    _gap(
        "every-step",
        "ours, F20",
        "Every running request is in every batch: a decode gets its next token in the next step.",
        "next-step all-get-on take turn_to_chunks prompts-get-on never-empty",
    ),
    _gap(
        "reserved",
        "ours, F19",
        "Who is admitted has the share of the bound reserved that its dearest token will take.",
        "admit.reserved reserved room-comes-back leave A-each-fits reach-reserved reach-again",
    ),
    _gap(
        "order",
        "FairBatching 3; ours",
        "Requests are admitted by deadline, between rounds, and then run until they are done.",
        "arrive admit admitted-in-order one-snapshot no-preemption",
    ),
    _gap(
        "round",
        "FairBatching 3",
        "A round forms one batch and runs it; any smaller budget for prompts keeps all this.",
        "begin complete round-ends within-prompt",
    ),
    _gap("invariants-of-proof", "ours", "What the others need to be inductive.", "books A-parameters"),
)

FAILOVER: Final = (
    _failover(
        "line",
        "ours, F21",
        "Conversations are bound to decoders first come, first served; a place in the line is for good.",
        "arrive prefill bind first-come-first-served keeps-its-place one-line reach-before",
    ),
    _failover(
        "loss",
        "ours, F22",
        "The loss of a worker loses no conversation and leaves none on two decoders.",
        "crash spoil none-lost none-twice only-what-was-there reach-again reach-spoilt",
    ),
    _failover(
        "bound",
        "ConServe 2; I3",
        "A conversation is bound once, in the step that reserves for it, until its end or its decoder's.",
        "reserved-when-chosen bound-until-the-end begin end",
    ),
    _failover(
        "transfer",
        "ConServe 2; I1, I7",
        "A KV cache moves once before the first decode, unless a worker that had it was lost.",
        "transfer moved-once there-before-decoded",
    ),
    _failover(
        "local",
        "ours, F22",
        "A decoder may compute a prompt itself, if nobody who waits is passed over.",
        "bind_local compute reach-local",
    ),
    _failover(
        "room",
        "ConServe 2; I4",
        "A slot is reserved for one conversation at most, and given back at its end.",
        "no-overcommitment room-comes-back finish",
        "How a conversation grows beyond what was reserved is in the spec conserve.",
    ),
    _failover(
        "liveness", "ours; L1", "Between losses every conversation is done in the end.", "every-stage-passes turns-end"
    ),
    _failover("invariants-of-proof", "ours", "What the others need to be inductive.", "stages"),
)

FOOTPRINT: Final = (
    _footprint(
        "measure",
        "ours, F23",
        "How many agents of the present size fit is measured, and the window goes there.",
        "measure never-stuck only-by-measure grow stay decides bottom-is-told reach-regrown",
    ),
    _footprint(
        "in-time",
        "ours, F23",
        "The window is cut as soon as more are admitted than fit: no collapse is waited for.",
        "cut cut-in-time reach-over",
    ),
    _footprint(
        "youngest",
        "ours, F23",
        "The youngest are paused, at a boundary; the agent admitted first never is.",
        "pause oldest-goes-on youngest-paused no-preemption over-submits-nothing packed",
    ),
    _footprint(
        "line",
        "CONCUR 3; S4",
        "Agents are admitted into room, in order, those that were paused before those that are new.",
        "arrive admit admitted-into-room first-come-first-served one-line reach-resumed",
    ),
    _footprint(
        "steps",
        "CONCUR 4",
        "An agent within the window goes on at each boundary until it is done.",
        "end go_on finish one-stage",
    ),
    _footprint(
        "bounds",
        "CONCUR 2; S1",
        "The window stays within its bounds, and when nobody runs whoever waits can be admitted.",
        "bounds A-bounds room-when-nobody-runs",
    ),
)
