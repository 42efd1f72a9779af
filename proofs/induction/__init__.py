"""Inductive proofs with z3, confirmed by cvc5: a property holds of every run, for any number of elements.

Begin at :func:`~mtpo.proofs.induction.inductive.prove` in ``inductive``; ``prover`` has the obligations, ``symbolic`` a
spec as terms of z3, ``refuting`` the counterexamples. That every run ends is ``endings``.
"""
