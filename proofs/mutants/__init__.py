"""What every part of a spec is for: mutants and ablations."""
