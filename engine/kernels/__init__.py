"""Kernels of our own: what a step computes, written for one kind of machine."""
