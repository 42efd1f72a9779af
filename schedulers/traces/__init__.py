"""Workloads: what is asked of a serving system, when; read from public traces or generated."""
