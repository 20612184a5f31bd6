"""Compiled steps of scoring; each has a plain twin that defines it."""
