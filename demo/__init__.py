"""The demo world and the small model trained on it."""
