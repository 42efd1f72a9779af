"""The published scheduling policies."""

from __future__ import annotations

from typing import Final

from mtpo.spec.rules.rule import rules_of

_fair = rules_of("fair")
_concur = rules_of("concur")
_conserve = rules_of("conserve")
_batching = rules_of("batching")

FAIR: Final = (
    _fair(
        "deadlines",
        "FairBatching 2; P1, P2",
        "A token is due at arrival + time to first token + its number times the time per token, whatever came before.",
        "arrive run run.due:= envelope served-to-the-end",
        "Anchoring late requests anew, an option, is not modelled.",
    ),
    _fair(
        "batch-time",
        "FairBatching 3",
        "A batch takes a + b times its new tokens + c times its context.",
        "A-parameters time-adds-up time-passes",
        "That predictions are right is assumed (the exact time model); fitting and calibration are not modelled.",
    ),
    _fair(
        "budget",
        "FairBatching 4; P3",
        "The budget is the least slack of a decode, but at least the least time per token.",
        "begin begin_idle budget-floor budget-rule urgent-in-time",
        "A cap on the budget, an option, is not modelled.",
    ),
    _fair(
        "formation",
        "FairBatching 5; P6, P8",
        "Urgent decodes, then prefills, then other decodes, each group by slack.",
        "take_urgent pass_urgent turn_to_prefills take_prefill turn_to_others stop_at take_other pass_other complete "
        "no-inversion group-order round-ends books reach-mixed reach-left-out",
        "Caps on tokens, sequences and memory are left out: they only make more misfits.",
    ),
    _fair("chunks", "FairBatching 5; P9", "A prefill may be split to what is left.", "extend chunk-within-prompt"),
    _fair("within-budget", "P4", "A batch keeps the budget but under the progress rule.", "within-budget"),
    _fair("safe-deferral", "P5", "A decode put off has Tmin of slack after the batch.", "safe-deferral reach-deferred"),
    _fair("work-conserving", "P7", "Nothing that fits is left out.", "work-conserving"),
    _fair("prefill-progress", "P10", "A prefill that fits after urgent decodes gets on.", "prefill-gets-on"),
    _fair(
        "progress-rule",
        "FairBatching 5; ours",
        "If nothing fits, exactly one item runs: the most urgent decode, else the first prefill.",
        "progress never-empty urgent-first-alone reach-alone",
    ),
    _fair(
        "admission-budget",
        "FairBatching 6; P11",
        "How many more prefill tokens fit within a time to first token.",
        lacks="The budget that a node reports to the level above is a formula over estimates, and not in this spec.",
    ),
)

CONCUR: Final = (
    _concur(
        "admit",
        "CONCUR 2; S2, S3",
        "An agent is admitted while fewer are than the window; an admitted agent's next step is not queued.",
        "arrive admit go_on admitted-into-room no-growth-above-the-window packed",
    ),
    _concur(
        "pause",
        "CONCUR 2; S1",
        "Pausing happens at boundaries only; running work is never interrupted.",
        "end pause no-preemption paused-when-over reach-over reach-paused",
    ),
    _concur(
        "resume",
        "CONCUR 2; S5",
        "A resumed agent knows what it knew; the oldest is resumed first.",
        "admit.paused-first admit.oldest transcript-kept first-come-first-served one-line one-stage",
    ),
    _concur("done", "CONCUR 4", "A finished agent's seat is free again.", "finish reach-done"),
    _concur(
        "law",
        "CONCUR 3; S4",
        "W grows by alpha if U < U_low, is cut by beta if U > U_high and H < H_thresh, and stays otherwise.",
        "grow cut hold A-marks A-bounds bounds one-rule-a-tick rules-applied measured-at-ticks healthy-keeps-running",
        "How many seats a tick opens or closes is left open, so alpha = 2 and beta = 0.5 are among the choices.",
    ),
    _concur(
        "liveness",
        "CONCUR; L1",
        "Every agent finishes if W_min >= 1, the engine progresses and the line is first come, first served.",
        "room-when-nobody-runs first-come-first-served",
        "That every agent finishes is no theorem here: agents may use their tools for ever.",
    ),
    _concur("no-regrowth", "N1", "If one agent fills the cache up to U_low, the window never regrows.", "no-regrowth"),
)

CONSERVE: Final = (
    _conserve(
        "prefill",
        "ConServe 2",
        "The first turn is prefilled by a prefiller.",
        "arrive prefill stages",
        "Which prefiller, and its queue, is not modelled.",
    ),
    _conserve(
        "bind",
        "ConServe 2; I2, I6",
        "A decoder with room is chosen and its room reserved in one step, first come, first served, for good.",
        "bind bound-until-the-end reserved-when-chosen first-come-first-served one-line",
        "That the emptiest decoder is chosen matters to no property; any with room may be.",
    ),
    _conserve(
        "transfer",
        "ConServe 2; I1, I7",
        "The KV cache moves once, before the first decode.",
        "transfer one-transfer moved-before-decoded",
    ),
    _conserve(
        "turns", "ConServe 2; I3", "Every later turn runs where the conversation is bound.", "begin end turns-at-home"
    ),
    _conserve(
        "memory",
        "ConServe 2; I4, I5",
        "What is used of a decoder is what its conversations hold, and never more than there is.",
        "no-overcommitment oracle-suffices used-is-held-by-the-bound",
    ),
    _conserve(
        "growth",
        "ConServe 2; ours",
        "By observation a conversation takes more as it needs; where there is no more the engine preempts.",
        "grow overflow grows-by-observation-only oracle-reserves-once over-when-full reach-over reach-grown",
    ),
    _conserve("end", "ConServe 2", "At its end a conversation gives back what it held.", "finish room-comes-back"),
    _conserve(
        "failure",
        "ours",
        "A decoder that fails loses its conversations' caches: they begin anew, with a second transfer.",
        "crash only-what-was-there reach-line reach-twice",
    ),
    _conserve(
        "liveness",
        "L1",
        "Every conversation that fits is placed.",
        "room-comes-back every-stage-passes",
        "That a decoder becomes empty in the end is assumed: conversations may talk for ever.",
    ),
)

BATCHING: Final = (
    _batching(
        "stall-free",
        "Sarathi-Serve 4",
        "Every decode goes on before any prompt; prompts take what is left of the budget, so no decode waits for one.",
        "decode.earlier-ones prefill.decodes-before admit.running-before stall-free decodes-in-order reach-mixed "
        "reach-starved",
        "A budget smaller than the number of decodes starves those at the end of the list (F20).",
    ),
    _batching(
        "chunks",
        "Sarathi-Serve 4",
        "A prompt is computed in chunks that fit into what is left of the budget, in order of arrival.",
        "prefill prompts-in-order reach-chunk",
        "What a chunk costs, and how the budget is found, is not modelled.",
    ),
    _batching(
        "prefill-first",
        "vLLM V0",
        "If a waiting prompt fits, the step is whole prompts only; else it is one decode of each running request.",
        "admit_whole decode.no-prompt prefill.alone admit.alone one-kind prompts-first whole-prompts reach-stalled "
        "reach-together",
        "How many whole prompts a step has is left open. The engine refuses a prompt longer than a step; here it has "
        "steps of its own.",
    ),
    _batching(
        "running-first",
        "vLLM V1",
        "Running requests in the order of their list, each what it lacks; then waiting ones, unless one was preempted.",
        "decode admit admit.none-preempted running-first admitted-in-order one-begun",
        "The cap on long prompts is not modelled: under it a prompt can come before a decode.",
    ),
    _batching(
        "first-come-first-served",
        "vLLM V0, V1; Sarathi-Serve",
        "Requests are admitted in order of arrival; who was preempted waits in front of those that never ran.",
        "arrive admit admitted-in-order running-are-earlier comes-and-goes",
    ),
    _batching(
        "budget",
        "vLLM V1; Sarathi-Serve 4",
        "A step computes no more tokens than its budget, decodes included.",
        "within-budget slot-for-each slots-end from-the-left",
        "The cap on the number of requests is left out.",
    ),
    _batching(
        "preemption",
        "PagedAttention 4; vLLM V0, V1",
        "When the cache has no room for one whose turn it is, the newest gives up its blocks and is computed anew.",
        "squeeze preempt preempted-last room kept oldest-alone reach-preempted",
        "The cache itself is the spec kv; here it may have no room at any moment.",
    ),
    _batching(
        "step",
        "vLLM V0, V1; Sarathi-Serve",
        "A batch is formed until nobody can be given more, and computed; whoever has all of its tokens emits one.",
        "begin complete run leave work-conserving emits-in-turn within-context one-snapshot round-ends",
    ),
    _batching("invariants-of-proof", "ours", "What the others need to be inductive.", "books one-begun A-one-policy"),
)
