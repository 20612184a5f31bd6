"""Matrices -> PD-1 / PD-L1 levels: readers, genes, scales, normalisation, signatures."""
