"""Do responses occur independently of the levels? Estimators, permutation tests, the verdict, and its precision."""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import Any

from biomarkers.relate.engine import relate, relate_counts
from biomarkers.relate.relation import Relation

__all__ = ["Relation", "relate", "relate_counts"]


class _Callable(ModuleType):
    """Python binds a package to its name once any module of it is imported: ``biomarkers.relate`` may be either."""

    def __call__(self, *arguments: Any, **options: Any) -> Relation:
        return relate(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
__signature__ = inspect.signature(relate)
