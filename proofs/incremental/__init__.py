"""The interpretation of a spec for long runs: what a step costs depends on what it touches.

Begin at :class:`~mtpo.proofs.incremental.incremental.Incremental`, which takes steps; ``compiling`` makes the program
that it runs. Whether a step made a formula false is a search (``deltas``, ``disjuncts``, ``joins``) over what
``catalogue`` keeps.
"""
