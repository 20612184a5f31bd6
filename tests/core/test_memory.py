"""Freed memory is kept."""

from __future__ import annotations

import subprocess
import sys

import pytest

_CHILD = """
import resource, sys
import numpy as np
from biomarkers.core.memory import keep_freed_memory, keep_some_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
elif sys.argv[1] == "some":
    keep_some_freed_memory()
first = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    held = [np.full(3_000_000, 1, np.uint8) for _ in range(10)]
    held = None
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - first)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asked of the GNU C library")
def test_an_array_takes_the_place_of_one_that_was_freed() -> None:
    def faults(how: str) -> int:
        done = subprocess.run([sys.executable, "-c", _CHILD, how], check=True, capture_output=True, text=True)
        return int(done.stdout)

    without = faults("not")
    assert faults("keep") < without / 4
    assert faults("some") < without / 4
