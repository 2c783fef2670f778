"""Evaluation: how close one result is to another."""
