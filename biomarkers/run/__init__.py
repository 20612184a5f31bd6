"""Batch: plan, isolate, resume."""
