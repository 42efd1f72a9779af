"""Real inference: a Llama-family model on a paged KV cache, continuous batching, watched by the spec."""

import os

# Before torch is loaded: threads that wait must sleep, not spin. Spinning threads that share their cores with another
# busy process made a step 30 times slower than one thread alone; sleeping ones cost a few per cent.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
