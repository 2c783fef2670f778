"""Caching: reuse in one step what an earlier step has computed."""
