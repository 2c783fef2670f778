"""Sampling loops, where a run starts, and where its noise comes from."""
