"""The independent checker of a run's log, which knows no spec, and the certificate.

Begin at :func:`~mtpo.proofs.runs.checker.check`, and at ``runrules``, which says what judges which kind of record: the
rules are in ``runcalls``, ``runnews`` and ``runtold``. ``certificate`` says in what order a run is as good as serial.
"""
