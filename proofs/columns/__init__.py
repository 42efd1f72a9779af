"""States as columns: a spec compiled to array operations, on processors and graphics cards."""
