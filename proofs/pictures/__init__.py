"""Counterexamples for people and for other tools."""
