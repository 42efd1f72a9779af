"""The specs. Each is a module, or a folder if it has more to say; ``mtpo`` is the protocol.

``language`` is what they are written in, ``concrete`` runs them on Python values, ``frozen`` makes the states of one
the constants of another, ``study`` asks for evidence in a notebook. ``rules`` maps the papers' rules to clauses,
``records`` is the vocabulary of logged runs. README.md takes a reader from an empty file to a proven lock.
"""
