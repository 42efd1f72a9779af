"""The core beside the spec, event by event: the machine refines the protocol. And state machines for Hypothesis.

Begin at :class:`~mtpo.proofs.refinement.pair.Pair`, the two driven side by side; ``refined`` tries every plan of small
sizes, ``planted`` has the bugs that must be noticed. ``statemachine`` makes rules of any spec's actions, to drive code
of yours.
"""
