"""What messages about a workload say, and how."""

from __future__ import annotations

import pytest

from mtpo.schedulers.traces.workload import moment


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "0 s"),
        (0.0004, "0 s"),
        (0.0126, "0.013 s"),
        (0.9999, "1 s"),
        (1.0, "1 s"),
        (12.46, "12.5 s"),
        (59.96, "1 min 0 s"),
        (2001.2, "33 min 21.2 s"),
        (3599.99, "1 h 0 min 0 s"),
        (7203.0, "2 h 0 min 3 s"),
        (36_000_000.0, "10,000 h 0 min 0 s"),
    ],
)
def test_a_time_is_told_as_one_says_it(seconds: float, said: str) -> None:
    assert moment(seconds) == said
