"""A nucleus that has no free pixel around it keeps its outline."""

from __future__ import annotations

import numpy as np
import pytest

from biomarkers.cells.outline import refine
from biomarkers.cells.tools import fast, plain


@pytest.mark.parametrize("tools", [plain, fast], ids=["plain", "fast"])
def test_the_last_label_may_be_walled_in(tools: object) -> None:
    labels = np.ones((9, 9), np.int32)
    labels[3:6, 3:6] = 2
    soft = np.full((9, 9), 100, np.int32)
    np.testing.assert_array_equal(refine(labels, soft, mpp=0.5, tools=tools()), labels)  # type: ignore[operator]
