"""The vocabulary of few-step sampling: processes, predictions, timestep grids, noise levels."""
