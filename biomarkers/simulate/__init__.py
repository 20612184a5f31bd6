"""Simulated tissue and trials with known truth."""
