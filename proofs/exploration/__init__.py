"""Every state of a finite instance: what is explored, by which engine, and what is asked of whole runs.

Begin at :func:`~mtpo.proofs.exploration.explore.explore`, which has the engine in plain Python; ``instances`` says what
is explored. The engine in machine code is ``compiled`` (``kernel``, ``search``). ``liveness`` asks whether each run
comes to its goal, ``walks`` and ``footprints`` draw from what is too much, ``coverage`` counts what was tried.
"""
