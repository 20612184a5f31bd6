"""Whole slides: scored tile by tile in memory that does not grow with the slide."""

from biomarkers.score.whole.slide import WholeSlideScore, is_whole, score_whole_slide

__all__ = ["WholeSlideScore", "is_whole", "score_whole_slide"]
