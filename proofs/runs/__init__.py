"""The independent checker of a run's log, which knows no spec, and the certificate."""
