"""Counterexamples for people, as pages, and for other tools.

Begin at :func:`~mtpo.proofs.pictures.picture.write_picture`; ``layout`` and ``why`` set out the formula that is false,
``lanes`` and ``statetable`` the run; ``shown`` says which verdicts have one. ``itf`` is the format of Apalache and
Quint.
"""
