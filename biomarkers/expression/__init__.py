"""PD-1 / PD-L1 and signature levels from expression matrices."""

from biomarkers.expression.express import Expression, express
from biomarkers.expression.signatures import SIGNATURES, Signature

__all__ = ["SIGNATURES", "Expression", "Signature", "express"]
