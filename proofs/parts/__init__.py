"""Exploration in parts, by several processes."""
