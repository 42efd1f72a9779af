"""Every state of an instance: what is explored, by which engine, and what is asked of runs."""
