"""Do responses occur independently of the levels? Estimators, permutation tests, the verdict, and its precision."""

from biomarkers.relate.engine import relate, relate_counts
from biomarkers.relate.relation import Relation

__all__ = ["Relation", "relate", "relate_counts"]
