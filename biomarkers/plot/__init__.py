"""Axes in, Axes out."""
