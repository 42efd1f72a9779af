"""What every part of a spec is for: mutants weaken it and must be caught, ablations drop a rule and show what breaks.

Begin at :func:`~mtpo.proofs.mutants.mutate.mutate`: ``alterations`` are the ways to weaken, ``catching`` what catches;
those that no property tells are listed there and in ``hidden``, with the reason. ``ablate`` drops published rules,
``dropped`` the clauses of any spec.
"""
