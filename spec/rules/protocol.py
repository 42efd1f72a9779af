"""MTPO, its recovery and its notifications."""

from __future__ import annotations

from typing import Final

from mtpo.spec.rules.rule import rules_of

_mtpo = rules_of("mtpo")
_recovery = rules_of("recovery")
_delivery = rules_of("delivery")
_serial = rules_of("serial")

MTPO: Final = (
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
        "read read.is-below read.is-greatest filtered-read read-levels position-defined reach-stale-reader "
        "reach-read-by-undo",
        "Two of the three ways to serve a read are here, by values kept and by undoing; cached results are in the spec "
        "levels. The core serves every read from what it kept, and one call at a time: a reader waits there for a "
        "later agent's repair too.",
    ),
    _mtpo(
        "write",
        "SCCP 3, ww",
        "A write is applied in place, at once, and enters the trajectory at its rank.",
        "call applied live-materialized in-place origin-first trajectory-steps",
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
        "A blind write that a later blind write covers need not be re-applied: every write is re-applied here, and in "
        "the core; see the spec shadows.",
    ),
    _mtpo(
        "notify",
        "SCCP 3, rw",
        "A reader whose premise changed is told, low to high only, with the value at its position.",
        "settle settle.note:= one-way premise-fresh-or-notified settled-told told-when-settled deliver.saw:=",
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
        "That it revises exactly the dependent work is A3, a formula of the spec serial; here any call may follow a "
        "notification. A run's certificate counts the judgments.",
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
        "These are the equations that the serial run satisfies; that it is the only solution, and ends in the same "
        "state, is in the spec serial.",
    ),
    _mtpo(
        "progress",
        "SCCP 4, progress; ours, F29 and F32",
        "Nobody waits for a successor; repairs end, notifications are used up, every agent commits.",
        "no-livelock calls-run-out retractions-run-out repair-ends notes-consumed withdrawals-end agents-advance "
        "no-deadlock undo-enabled no-wait-for-successors agents-go-on writes-go-on late-writes-go-on "
        "may-give-up repairs-go-on moved-from-below",
        "Reads that are served from what was kept, and notifications, wait for no successor. A write acts in place, "
        "and so waits for open repairs that have its objects, whosever they are; each ends, but that it is not "
        "overtaken for ever is in the spec locks, not here (F32). No run goes on for ever, and as long as somebody has "
        "not committed there is a step to take: so every run ends, with all committed, if agents finish and no "
        "change by hand is in the way. The bounds (a repair graph of depth n - 1, a makespan no worse than serial) are "
        "no formulas here. The core serves one call at a time, in the order in which they come: "
        "whoever reads, consumes, finishes or aborts waits for the call that is served, a later agent's too.",
    ),
    _mtpo(
        "individual-success",
        "SCCP 4, A1",
        "Run alone, an agent completes.",
        lacks="Assumed of the agents, in the spec serial; nothing here depends on what they want.",
    ),
    _mtpo(
        "registered-tools",
        "SCCP 4, A2; ours, F10",
        "Every shared access is by a registered tool, within its footprint.",
        "foreign-untouched external undone.ours applied.ours call.ours retract.ours retracted.ours redone.ours "
        "reach-foreign",
        "Footprints are constants here; that a tool keeps its own is checked when it is registered, and at run time. "
        "That its outcome is a function of what it reads is a formula of the spec serial.",
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
        "ours, F8 and F33",
        "A call that fails is a read of what made it fail; one that is taken back is still a read of what it read.",
        "failed failure-is-a-premise cancelled.sighted:= stranded.sighted:= retracted.sighted:=",
    ),
    _mtpo(
        "failure-exact",
        "ours, F37",
        "What made a call fail is waived by no predicate, until its author has been told of a change to it.",
        "failures-exact failed.void:= deliver.void:= outcome-as-seen",
    ),
    _mtpo(
        "locks",
        "ours, F24, F29 and F30",
        "A repair locks what it touches: nobody sees its middle, and premises are judged at its end.",
        "repair-atomic locks-held locks-needed settle read.settled call.unlocked call.locks-all call.locks-only "
        "retract.unlocked retract.locks-all retract.locks-only deliver.settled lemma-repair lemma-acting "
        "reach-two-repairs",
        "An implementation may lock more: one repair at a time, as the core does, is within the spec.",
    ),
    _mtpo(
        "abort",
        "ours, F9 and F31",
        "An agent that dies or gives up retracts its writes and counts as an empty commit.",
        "abort commit.retracted abort-undone redone.author-there aborted-act-no-more lemma-aborted lemma-retracting "
        "reach-aborted reach-kept",
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
        lacks="Objects have no structure here; that names which nest reduce to such objects is in the spec names.",
    ),
    _mtpo(
        "waivers",
        "ours",
        "A premise may carry a predicate; a change that leaves it true waives the notification, not the exact effect.",
        "effects-exact reach-waived told-only-of-change settled-told premise-fresh-or-notified settle.note:=",
        "That an author would have done the same wherever its predicate is true is A3. The core declares no predicate: "
        "there every change is told.",
    ),
)

RECOVERY: Final = (
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
        "step.",
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
    _recovery(
        "refines",
        "ours",
        "Whatever phases a call takes, and wherever it dies, for the trajectories it is a step of mtpo, or none.",
        "trajectory-steps",
        "Which step is due, and in what order, is for mtpo to say: here any order will do.",
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

DELIVERY: Final = (
    _delivery(
        "notify",
        "SCCP 3, rw",
        "A change of a premise is told to its reader, with the value at its position.",
        "change arrive deliver deliver.told:= told-by-the-note every-change-is-told nothing-is-unsent",
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

_OF_THE_RUN: Final = (
    "at-rest mtpo.pre-order mtpo.origin-first mtpo.notified-serializable mtpo.effects-exact mtpo.failures-exact "
    "mtpo.no-lost-call mtpo.lemma-agents mtpo.lemma-issued mtpo.lemma-repair"
)

SERIAL: Final = (
    _serial(
        "claim",
        "SCCP 4, claim",
        "The serial run of the same agents, in rank order, ends in the state in which the run of MTPO came to rest.",
        "same-state same-calls same-sights one-after-the-other reach-both",
    ),
    _serial(
        "of-the-run",
        "SCCP 4, claim",
        "The run has come to rest: what is proven of every run of MTPO holds of it.",
        _OF_THE_RUN,
    ),
    _serial(
        "individual-success",
        "SCCP 4, A1",
        "Run alone, an agent completes.",
        "goes-on calls-run-out all-complete every-run-ends end",
        "That an agent which can go on does is fairness, no formula of states; that it can, and not for ever, is.",
    ),
    _serial(
        "well-formed",
        "SCCP 4, A2",
        "A tool changes nothing but its footprint, and what it does is a function of what its call reads.",
        "act act.A2-function-of-input act.holds:= fail fail.A2-function-of-input reach-failed",
    ),
    _serial(
        "self-healing",
        "SCCP 4, A3; ours, F27",
        "What an agent revised when it was told is what it does if it knows at once; its predicates say what matters.",
        "act.A3-self-healing fail.A3-self-healing look look.A3-self-healing end.A3-self-healing reach-looked "
        "reach-waived",
    ),
    _serial("invariants-of-proof", "ours", "What the others need to be inductive.", "lemma-prefix lemma-values"),
)
