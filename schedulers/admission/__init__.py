"""Admission policies: how many agents or requests are active at once."""
