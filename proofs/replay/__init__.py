"""Logs replayed against the protocol's spec, and why one stops matching."""
