"""Placement policies: which worker a turn is computed on."""
