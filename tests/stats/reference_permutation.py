"""Rows on dependence of any shape, and the Monte-Carlo rows of permutation tests."""

from __future__ import annotations

import re
from functools import cache

import numpy as np

from biomarkers.stats import (
    association,
    cutpoint,
    linear,
    permutation,
    permutation_association,
    step_down,
    survival,
    trend,
)
from biomarkers.stats.results import Test
from tests.stats.reference_data import Answer, Data, add, row, tst

B = 99_999


def ranked(d: Data, m: re.Match[str]) -> tuple[np.ndarray, np.ndarray]:
    level, group = d.columns(m[1], m[2])
    return linear.midranks(level), group


add(
    r"dcor\[(\w+),(resp)\]",
    "association.distance_correlation",
    lambda d, m, _: Answer(association.distance_correlation(*d.columns(m[1], m[2]))),
)
add(
    r"dcor_ranks\[(\w+),(resp)\]",
    "association.distance_correlation",
    lambda d, m, _: Answer(association.distance_correlation(*ranked(d, m))),
)
add(
    r"bcdcor\[(\w+),(resp)\]",
    "association.distance_correlation",
    lambda d, m, _: Answer(association.distance_correlation(*d.columns(m[1], m[2]), unbiased=True)),
)
add(
    r"dcor_t\[(\w+),(resp)\]",
    "association.distance_correlation_test",
    lambda d, m, _: tst(association.distance_correlation_test(*d.columns(m[1], m[2]))),
)


@row(r"dcov_test_9999\[(\w+),(resp)\]", "permutation_association.distance_covariance_permutation")
def _dcov(d: Data, m: re.Match[str], r: dict[str, str]) -> Answer:
    test = permutation_association.distance_covariance_permutation(*d.columns(m[1], m[2]))
    # energy prints the distance correlation where dcor prints n V2
    return tst(test, association.distance_correlation(*d.columns(m[1], m[2])) if "energy" in r["source"] else None)


@row(r"hyppo_dcorr\[(\w+),(resp)\]", "permutation.categories_permutation, association.distance_correlation")
def _dcorr(d: Data, m: re.Match[str], _: object) -> Answer:
    return tst(
        permutation.categories_permutation(
            lambda x, y: association.distance_correlation(x, y, unbiased=True),
            *d.columns(m[1], m[2]),
            n_permutations=9_999,
            centre=-1.0,  # only large values are extreme
            method="bias-corrected distance correlation",
        )
    )


add(
    r"hyppo_hsic\[(\w+),(\w+)\]",
    "permutation_association.hsic_permutation",
    lambda d, m, _: tst(permutation_association.hsic_permutation(*d.columns(m[1], m[2]), diagonal="kept")),
)
add(
    r"hyppo_mgc\[(\w+),(resp)\]",
    "association.multiscale_graph_correlation",
    lambda d, m, _: tst(association.multiscale_graph_correlation(*d.columns(m[1], m[2]))),
)
add(
    r"brunner_munzel_perm_mc(100k|20k)\[(\w+)~resp\]",
    "permutation.permutation_test",
    lambda d, m, _: tst(permutation.permutation_test(*d.groups(m[2]), n_permutations=B)),
)
add(
    r"jonckheere_perm_mc(100k|20k)\[(\w+),(recist)\]",
    "permutation_association.jonckheere_permutation",
    lambda d, m, _: tst(permutation_association.jonckheere_permutation(*d.columns(m[2], m[3]), n_permutations=B)),
)


@row(r"kruskal_perm_100k\[(\w+),(recist)\]", "permutation_association.kruskal_permutation, trend.kruskal_statistic")
def _kruskal(d: Data, m: re.Match[str], _: object) -> Answer:
    test = permutation_association.kruskal_permutation(*d.columns(m[1], m[2]), n_permutations=B)
    assert abs(test.statistic - trend.kruskal_statistic(*d.columns(m[1], m[2]))) < 1e-9
    return tst(test)


@row(r"logrank_perm100k\[pfs~(\w+)\]", "permutation.linear_permutation, survival.log_rank_scores")
def _log_rank(d: Data, m: re.Match[str], _: object) -> Answer:
    test: Test = permutation.linear_permutation(survival.log_rank_scores(*d.survival()), d[m[1]], n_permutations=B)
    # coin orders the groups by their level, so its sign is that of the marker-negative group and of minus the scores
    return tst(test)


@row(r"maxstat_perm100k\[resp~(\w+)\]", "cutpoint.max_selected_permutation")
def _maxstat(d: Data, m: re.Match[str], _: object) -> Answer:
    return tst(cutpoint.max_selected_permutation(*d.columns(m[1], "resp"), n_permutations=B))


MARKERS = ("tc", "pd1", "ic", "crp")  # coin numbers them in this order


@cache
def _joint(d: Data) -> step_down.MaxT:
    *levels, response = d.columns(*MARKERS, "resp")
    return step_down.max_t(np.column_stack([linear.midranks(level) for level in levels]), response, n_permutations=B)


@row(r"maxT_(global_100k|singlestep|stepdown)(?:\[(\w+?)(?:NA)?\])?", "step_down.max_t")
def _max_t(d: Data, m: re.Match[str], r: dict[str, str]) -> Answer:
    found = _joint(d)
    if m[1] == "global_100k":
        return Answer(float(np.abs(found.z).max()), p=float(found.p_single_step.min()))
    name = m[2] if m[2] in MARKERS or not m[2].isdigit() else MARKERS[int(m[2]) - 1]
    name = "tc" if name == "tc1" else name
    i = MARKERS.index(name)
    # the two sources give the sign of crp the other way round
    z = abs(found.z[i]) * (-1 if float(r["value"]) < 0 else 1)
    return Answer(float(z), p=float((found.p_single_step if m[1] == "singlestep" else found.p_step_down)[i]))
