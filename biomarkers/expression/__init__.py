"""PD-1 / PD-L1 and signature levels from expression matrices."""

from biomarkers.expression.batch import Confounding, batch_confounding, batch_summary, within_batch
from biomarkers.expression.concordance import Concordance, concordance
from biomarkers.expression.express import Expression, express
from biomarkers.expression.signatures import SIGNATURES, Signature

__all__ = [
    "SIGNATURES",
    "Concordance",
    "Confounding",
    "Expression",
    "Signature",
    "batch_confounding",
    "batch_summary",
    "concordance",
    "express",
    "within_batch",
]
