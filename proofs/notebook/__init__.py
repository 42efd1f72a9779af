"""What a spec answers in a notebook: the methods of :class:`mtpo.spec.study.Studied`, done.

Begin at ``exploring`` and ``study``, which ask; ``answers`` is how an answer shows itself, ``told`` what is said of an
id and of a log.
"""
