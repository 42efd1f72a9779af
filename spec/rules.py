"""The rules of the papers and the clauses that carry them: which part of a spec is for which rule, and back.

A clause is named by its id: a property, an action (``mtpo.read``, its whole guard and all its updates), a conjunct of a
guard (``mtpo.read.is-below``) or an update (``mtpo.deliver.saw:=``). ``lacks`` says what of a rule no clause carries,
and why. Sources: "SCCP" is "Notified Serializability" (SCCP workshop, VLDB 2026), "CoAgent" arXiv 2606.15376,
"FairBatching" arXiv 2510.14392, "CONCUR" arXiv 2601.22705, "ConServe" arXiv 2606.01839, "PagedAttention" SOSP 2023,
"ARIES" TODS 17(1), 1992; "ours" is what they leave open, F1 to F18 those of it that proofs/FINDINGS.md tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from mtpo.spec.language import Spec


@attrs.frozen
class Rule:
    """What a paper says, where, the ids of the clauses that carry it, and what of it none does."""

    id: str
    source: str
    says: str
    carried_by: tuple[str, ...] = ()
    lacks: str = ""


def _ids(spec: str, names: str) -> tuple[str, ...]:
    """``spec.name`` for each of the names, which blanks separate."""
    return tuple(f"{spec}.{name}" for name in names.split())


def _mtpo(id: str, source: str, says: str, names: str = "", lacks: str = "") -> Rule:
    return Rule(f"mtpo:{id}", source, says, _ids("mtpo", names), lacks)


def _kv(id: str, source: str, says: str, names: str = "", lacks: str = "") -> Rule:
    return Rule(f"kv:{id}", source, says, _ids("kv", names), lacks)


def _fair(id: str, section: str, says: str, names: str = "", lacks: str = "") -> Rule:
    return Rule(f"fair:{id}", section, says, _ids("fair", names), lacks)


def _concur(id: str, section: str, says: str, names: str = "", lacks: str = "") -> Rule:
    return Rule(f"concur:{id}", section, says, _ids("concur", names), lacks)


def _conserve(id: str, section: str, says: str, names: str = "", lacks: str = "") -> Rule:
    return Rule(f"conserve:{id}", section, says, _ids("conserve", names), lacks)


def _recovery(id: str, source: str, says: str, names: str = "", lacks: str = "") -> Rule:
    return Rule(f"recovery:{id}", source, says, _ids("recovery", names), lacks)


def _delivery(id: str, source: str, says: str, names: str = "", lacks: str = "") -> Rule:
    return Rule(f"delivery:{id}", source, says, _ids("delivery", names), lacks)


_MTPO: Final = (
    _mtpo(
        "order",
        "SCCP 3, order",
        "Ranks are fixed at launch; an agent launched later has a higher one; calls follow ranks, then issue order.",
        "launch pre-order launch-in-rank-order issue-order call.in-issue-order read.in-issue-order",
    ),
    _mtpo(
        "read",
        "SCCP 3, wr",
        "A read gets the value at its position; higher-ranked writes are screened out although they are live.",
        "read read.is-below read.is-greatest filtered-read reach-stale-reader",
        "Of the three ways to serve a read (a kept version, a cached result, undoing) the spec has the value alone; "
        "which way is a matter of the resource.",
    ),
    _mtpo(
        "write",
        "SCCP 3, ww",
        "A write is applied in place, at once, and enters the trajectory at its rank.",
        "call applied live-materialized in-place origin-first",
    ),
    _mtpo(
        "late",
        "SCCP 3, ww",
        "A late write undoes the higher-ranked ones, from the top.",
        "call.seeds undone undone.top-only top-only-undo undo-for-lower reach-redone-otherwise",
    ),
    _mtpo(
        "cancel",
        "SCCP 3, cancel",
        "Undone writes are withdrawn, and their authors told, who reissue them or do not.",
        "cancelled withdrawn-told withdrawn-after-landing withdrawals-end reach-withdrawn",
    ),
    _mtpo(
        "replay",
        "CoAgent 3, replay",
        "Undone writes are re-applied in order.",
        "redone redone.ascending redone.policy",
        "A blind write that a later blind write covers need not be re-applied: every write is re-applied here.",
    ),
    _mtpo(
        "notify",
        "SCCP 3, rw",
        "A reader whose premise changed is told, low to high only, with the value at its position.",
        "settle settle.note:= one-way premise-fresh-or-notified settled-told deliver.saw:=",
    ),
    _mtpo(
        "consume",
        "SCCP 3, rw; A2",
        "A notification is consumed before the next action, and reopens an agent that had finished.",
        "deliver reopen reopen.notified read.inbox-empty call.inbox-empty finish.inbox-empty consumed-before-action "
        "notes-consumed reach-reopened",
    ),
    _mtpo(
        "repair",
        "SCCP 3, repair; A3; ours, F9",
        "A notified agent keeps, rewrites or retracts dependent work.",
        "retract retracted retract-by-author",
        "That it revises exactly the dependent work is assumed (A3), not modelled: after a notification any call may "
        "follow. A run's certificate counts the judgments.",
    ),
    _mtpo(
        "commit",
        "SCCP 3, commit",
        "An agent commits when it has finished, has nothing to be told, and every lower rank has committed.",
        "finish commit commit.finished commit.inbox-empty commit.lower-committed commit-in-rank-order committed-stable "
        "reach-all-committed",
    ),
    _mtpo(
        "gate",
        "SCCP 3, non-invertible; ours, F3",
        "A call without an inverse waits for every lower rank to commit; it may be late, it is never undone.",
        "call.gate gate final-told reach-gated",
    ),
    _mtpo(
        "claim",
        "SCCP 4, claim",
        "At GlobalQuiet the run is as good as serial in rank order, and every object is its trajectory's value.",
        "notified-serializable live-materialized filtered-read",
    ),
    _mtpo(
        "progress",
        "SCCP 4, progress",
        "Nobody waits for a successor; repairs end, notifications are used up, every agent commits.",
        "repair-ends notes-consumed withdrawals-end agents-advance undo-enabled",
        "The bounds (a repair graph of depth n - 1, a makespan no worse than serial) are no formulas here.",
    ),
    _mtpo(
        "individual-success",
        "SCCP 4, A1",
        "Run alone, an agent completes.",
        lacks="Assumed of the agents; nothing here depends on what they want.",
    ),
    _mtpo(
        "registered-tools",
        "SCCP 4, A2; ours, F10",
        "Every shared access is by a registered tool, within its footprint.",
        "foreign-untouched external undone.ours applied.ours call.ours retract.ours retracted.ours redone.ours "
        "reach-foreign",
        "Footprints are constants here; that a tool keeps its own is checked when it is registered, and at run time.",
    ),
    _mtpo(
        "closure",
        "ours, F1",
        "The set to undo is closed under conflicts of whole footprints.",
        "call.closed call.members-live-above lemma-closed undo-enabled",
    ),
    _mtpo(
        "redo-changes",
        "ours, F2",
        "A redo that reads or leaves another value tells its author; one that fails strands the call, and tells too.",
        "redone.note:= redo-told told-only-of-change stranded no-lost-call",
    ),
    _mtpo(
        "failure",
        "ours, F8",
        "A call that fails is a read of what made it fail.",
        "failed failure-is-a-premise",
    ),
    _mtpo(
        "locks",
        "ours, F3 and F4",
        "A repair locks what it touches: nobody sees its middle, and premises are judged at its end.",
        "repair-atomic locks-held locks-needed settle read.unlocked call.unlocked call.locks-all call.locks-only "
        "retract.unlocked retract.locks-all retract.locks-only deliver.unlocked lemma-repair lemma-acting "
        "reach-two-repairs",
        "An implementation may lock more: one repair at a time, as the core does, is within the spec.",
    ),
    _mtpo(
        "abort",
        "ours, F9",
        "An agent that dies or gives up retracts its writes and counts as an empty commit.",
        "abort commit.retracted abort-undone lemma-aborted lemma-retracting reach-aborted reach-kept",
    ),
    _mtpo(
        "invariants-of-proof",
        "ours",
        "What the others need to be inductive.",
        "lemma-agents lemma-issued",
    ),
    _mtpo(
        "names",
        "ours",
        "Names nest: a directory covers its files; a listing reads it, creation and deletion write it.",
        lacks="Objects have no structure here; tools declare the names that cover what they touch.",
    ),
    _mtpo(
        "waivers",
        "ours",
        "A premise may carry a predicate; a change that leaves it true waives the notification.",
        lacks="Equality of values is the only test here, which notifies more often, never less.",
    ),
)

_KV: Final = (
    _kv(
        "blocks",
        "PagedAttention 4.2",
        "Keys and values live in blocks of a pool; a block table maps a sequence to blocks.",
        "allocate_first allocate free-xor-owned conservation one-chain fresh-when-allocated",
    ),
    _kv(
        "in-order",
        "PagedAttention 4.3; ours, F7",
        "Blocks are filled from the left; the next one when the one before it is full.",
        "fill prefix-computed",
    ),
    _kv(
        "sharing",
        "PagedAttention 4.4",
        "Sequences share the blocks of a common prefix; a shared block is not written.",
        "share no-double-owner write-exclusive reach-shared",
        "Copy on write is not modelled: only full, published blocks are shared.",
    ),
    _kv(
        "prefix-cache",
        "vLLM, automatic prefix caching",
        "A full block is found by the hash of its whole prefix, and stays until it is evicted, leaves first.",
        "publish evict published-is-computed prefix-closed eviction-only-unreferenced content-stable reach-cached",
    ),
    _kv(
        "release",
        "PagedAttention 4.5",
        "A sequence gives back its blocks at its end, or when it is preempted.",
        "release conservation",
        "Swapping to the host's memory is not modelled.",
    ),
    _kv(
        "in-flight",
        "ours",
        "What a step in flight reads and writes is not reused before it is done.",
        "begin complete no-reuse-in-flight",
    ),
)

_FAIR: Final = (
    _fair(
        "deadlines",
        "FairBatching 2; P1, P2",
        "A token is due at arrival + time to first token + its number times the time per token, whatever came before.",
        "arrive run run.due:= envelope",
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
        "If nothing fits, exactly one item runs.",
        "progress never-empty reach-alone",
    ),
    _fair(
        "admission-budget",
        "FairBatching 6; P11",
        "How many more prefill tokens fit within a time to first token.",
        lacks="The budget that a node reports to the level above is a formula over estimates, and not in this spec.",
    ),
)

_CONCUR: Final = (
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

_CONSERVE: Final = (
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
        "crash reach-line reach-twice",
    ),
    _conserve(
        "liveness",
        "L1",
        "Every conversation that fits is placed.",
        "room-comes-back every-stage-passes",
        "That a decoder becomes empty in the end is assumed: conversations may talk for ever.",
    ),
)

_RECOVERY: Final = (
    _recovery(
        "accept",
        "CoAgent 2, tool call; ours",
        "A call is accepted, and logged, before the runtime turns to it, one at a time on an object.",
        "accept begin writes-something stages",
    ),
    _recovery(
        "prepare",
        "CoAgent 2, three phases; ARIES",
        "What undo needs is captured, and logged, before the effect; without an announcement it does not count.",
        "prepare announce.prepared restart.prepared:= undo-data-first",
    ),
    _recovery(
        "write-ahead",
        "ours, F11; ARIES",
        "Every phase is logged before it acts.",
        "announce start.announced undo undone write-ahead as-logged",
        "The protocol above it, which decides what is called and undone, is the spec mtpo, where each of these is one "
        "step; that the one refines the other is not stated.",
    ),
    _recovery(
        "exec",
        "CoAgent 2, three phases",
        "The tool acts: on one object after another if it has an inverse, else by a request.",
        "start effect land complete half-way reach-landed",
    ),
    _recovery(
        "atomic",
        "ours, F14",
        "A call that fails or is torn is put back wholly before it counts as undone or runs again.",
        "fail reverse undone.wholly atomic lets-go reach-failed reach-torn reach-torn-undo",
    ),
    _recovery(
        "inverse",
        "CoAgent 2, three phases; ours, F12",
        "An inverse may run at any time and again, also where the call never came.",
        "reverse inverse-idempotent",
        "Checked of a tool when it is registered, and assumed here.",
    ),
    _recovery(
        "from-the-top",
        "SCCP 3, ww",
        "Only what came last on all its objects is undone.",
        "undo.top-only from-the-top stacks",
    ),
    _recovery("crash", "ours", "The runtime dies at any moment, with its memory.", "crash memory-is-lost"),
    _recovery(
        "recover",
        "ours; ARIES",
        "Recovery finishes or reverses what was in flight, also after a crash in its middle, and takes up nothing new.",
        "restart resume idempotent quiet-after-recovery nothing-new never-stuck ends",
    ),
    _recovery(
        "ask",
        "ours, F11",
        "An unknown outcome is asked of the resource, never guessed, and not changed after the answer.",
        "ask ask.under_way:= complete.wholly fenced never-guessed resource-answers reach-unknown",
        "How a resource is asked is its adapter's business.",
    ),
    _recovery(
        "once",
        "ours, F15",
        "No effect is lost, and none comes twice.",
        "start.once effect.once no-lost-effect no-double-effect",
    ),
)

_DELIVERY: Final = (
    _delivery(
        "notify",
        "SCCP 3, rw",
        "A change of a premise is told to its reader, with the value at its position.",
        "change arrive deliver deliver.told:= every-change-is-told nothing-is-unsent",
    ),
    _delivery(
        "consume",
        "SCCP 3, rw; A2",
        "A notification is consumed before the next action, and never during an inference.",
        "begin deliver.idle accept accept.nothing-unread consumed-before-action context-is-fixed one-inference stages",
    ),
    _delivery(
        "bounce",
        "ours, F6 and F18",
        "A call that was inferred without a notification comes back, with all that is unread.",
        "bounce bounce.arrived:= reach-bounced-early",
    ),
    _delivery(
        "stop",
        "ours, F6 and F16",
        "An inference that a notification has outdated may be stopped at once: nothing but tokens is lost.",
        "stop stop.notified stop-loses-nothing doomed-for-good stop-is-a-bounce no-needless-end reach-stopped",
    ),
    _delivery(
        "newest",
        "SCCP 3, rw; ours, F17",
        "What a reader was told last is what there is now, though notifications overtake each other.",
        "arrive.in-order deliver.in-order order-or-lookup told-newest acts-on-the-newest in-order reach-overtaken",
    ),
    _delivery(
        "progress",
        "SCCP 4, progress",
        "If changes stop, a call of the reader is accepted.",
        "gets-through",
        "That changes stop is a matter of the order of ranks: mtpo.notes-consumed.",
    ),
)

RULES: Final[tuple[Rule, ...]] = (*_MTPO, *_KV, *_FAIR, *_CONCUR, *_CONSERVE, *_RECOVERY, *_DELIVERY)


def clauses_of(spec: Spec) -> tuple[str, ...]:
    """Every id that a rule may name: actions, guard conjuncts, updates, properties, variants."""
    found = []
    for action in spec.actions.values():
        id = f"{spec.name}.{action.name}"
        found += [id, *(c.id for c in action.guard), *(f"{id}.{u.variable.name}:=" for u in action.updates)]
    return tuple(dict.fromkeys([*found, *spec.properties, *spec.variants]))


def carried(id: str) -> tuple[Rule, ...]:
    """The rules that a clause carries: those that name it; of a conjunct or an update that none names, its action's."""
    named = tuple(rule for rule in RULES if id in rule.carried_by)
    if named or id.count(".") < 2:
        return named
    return tuple(rule for rule in RULES if id.rpartition(".")[0] in rule.carried_by)


def unknown(specs: Iterable[Spec]) -> tuple[str, ...]:
    """What rules name that no spec has."""
    known = {id for spec in specs for id in clauses_of(spec)}
    return tuple(dict.fromkeys(id for rule in RULES for id in rule.carried_by if id not in known))


def unmapped(specs: Sequence[Spec]) -> tuple[str, ...]:
    """The actions and properties that no rule names."""
    wanted = [f"{spec.name}.{name}" for spec in specs for name in spec.actions]
    wanted += [id for spec in specs for id in (*spec.properties, *spec.variants)]
    return tuple(id for id in wanted if not carried(id))
