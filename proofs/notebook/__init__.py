"""What a spec answers in a notebook."""
