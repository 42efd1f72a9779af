"""The interpretation for long runs: what a step costs depends on what it touches."""
