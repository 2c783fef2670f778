"""Losses that make few-step students, on plain callables."""
