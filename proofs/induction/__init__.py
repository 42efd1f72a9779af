"""Inductive proofs with z3, confirmed by cvc5."""
