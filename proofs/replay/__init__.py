"""Logs replayed against the protocol's spec, record by record, and why one stops matching.

Begin at :func:`~mtpo.proofs.replay.replay.replay`, by way of ``numbering`` and ``stepping``; ``relay`` does it by
several processes. ``unmatched`` and ``remedies`` say why a record is no step, ``shrink`` makes a bad log smaller, and
``judge`` gives the whole judgment, with that of :mod:`mtpo.proofs.runs`.
"""
