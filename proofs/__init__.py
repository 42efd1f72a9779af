"""What is shown of the specs, and by what: a folder for each thing that is done with one.

``induction`` proves for any number of elements; ``exploration`` looks at every state of an instance, ``columns`` are
its fast engines and ``parts`` its processes; ``mutants`` asks what each part of a spec is for; ``refinement`` takes the
core beside the spec. ``replay`` holds a log against the spec, by the interpretation for long runs in ``incremental``,
and ``runs`` judges it without one. ``pictures`` and ``notebook`` show what was found, ``findings`` the holes in the
published protocol (FINDINGS.md).

Each folder says where to begin in it; begin with ``induction`` and ``exploration``. What they find is told as
``verdicts``; they are asked in processes of their own, ``children``. What holds is kept in ledger.json, with the
sources that it holds of: ``ledger`` writes and reads it, ``evidence`` tells it.
"""
