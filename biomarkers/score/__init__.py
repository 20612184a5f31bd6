"""Cells -> TPS, CPS, IC, H-score, densities: a registry of scores with their metadata."""
