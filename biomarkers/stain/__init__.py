"""Pixels -> stain amounts: optical density, stain vectors, fluorescence background."""
