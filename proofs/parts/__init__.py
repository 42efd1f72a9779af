"""Exploration in parts, by several processes: what is reached from some of the first states is a part.

Begin at :func:`~mtpo.proofs.parts.parts.explore_in_parts`; ``partition`` cuts, ``part`` explores one of them,
``partwork`` gives them to processes, ``partsaved`` keeps those that are done.
"""
