"""Step policies: which tokens are computed next on one worker."""
