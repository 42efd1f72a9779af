"""The core beside the spec, event by event, and state machines for Hypothesis."""
