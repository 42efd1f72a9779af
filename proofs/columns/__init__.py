"""States as columns: an instance compiled to operations on whole arrays, for processors and graphics cards.

Begin at :func:`~mtpo.proofs.columns.columnar.search_columns`: the search is in ``batches``. What it runs is made in
``columns``, from formulas (``grounding``) by way of gates (``circuit``, ``gatecode``); ``arrays``, ``devices`` and
``cuda`` are what it runs on.
"""
