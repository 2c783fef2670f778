"""Guidance: how the prompt is made to count for more."""
