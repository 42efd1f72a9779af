"""Real inference: a Llama-family model on a paged KV cache, continuous batching, watched by the spec."""
