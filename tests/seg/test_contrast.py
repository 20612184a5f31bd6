"""The nuclear signal by hand: constants that move are seen."""

from __future__ import annotations

import numpy as np

from biomarkers.seg.contrast import nuclear_signal


def signal(hematoxylin, dab, compact, sheet):
    return int(
        nuclear_signal(*(np.array([[value]], dtype=np.int16) for value in (hematoxylin, dab, compact, sheet)))[0, 0]
    )


def test_the_nuclear_signal_weighs_both_stains():
    # thousandths of OD: (166 h + 128 d) / 256, rounded down, of DAB that is compact
    assert signal(200, 0, 0, 0) == 129  # 33200 / 256 = 129.7
    assert signal(0, 200, 200, 0) == 100  # 25600 / 256
    assert signal(0, 200, 80, 0) == 40  # a rim of 200 around a compact middle of 80
    assert signal(100, 100, 100, 0) == 114  # 29400 / 256 = 114.8


def test_a_sheet_of_dab_is_ground_and_a_dark_nucleus_is_capped():
    assert signal(0, 200, 200, 150) == 50  # 200 - 2 (150 - 100) = 100, half of it
    assert signal(600, 0, 0, 0) == 326  # 389 is 89 above the cap of 300: 89 * 77 // 256 = 26
    assert signal(900, 0, 0, 0) == 345  # and never more than 45 above it
