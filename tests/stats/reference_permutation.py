"""Rows on dependence of any shape, and the Monte-Carlo rows of permutation tests."""

from __future__ import annotations

import re
from functools import cache

import numpy as np

from biomarkers.stats import association, cutpoint, linear, max_t, permutation, permutation_association, survival, trend
from biomarkers.stats.results import Test
from tests.stats.reference_data import Answer, Data, add, row, tst

B = 99_999

add(
    r"dcor\[tc,resp\]",
    "association.distance_correlation",
    lambda d, *_: Answer(association.distance_correlation(d["tc"], d["resp"])),
)
add(
    r"dcor_ranks\[tc,resp\]",
    "association.distance_correlation",
    lambda d, *_: Answer(association.distance_correlation(linear.midranks(d["tc"]), d["resp"])),
)
add(
    r"bcdcor\[tc,resp\]",
    "association.distance_correlation",
    lambda d, *_: Answer(association.distance_correlation(d["tc"], d["resp"], unbiased=True)),
)
add(
    r"dcor_t\[tc,resp\]",
    "association.distance_correlation_test",
    lambda d, *_: tst(association.distance_correlation_test(d["tc"], d["resp"])),
)


@row(r"dcov_test_9999\[tc,resp\]", "permutation_association.distance_covariance_permutation")
def _dcov(d: Data, _: re.Match[str], r: dict[str, str]) -> Answer:
    test = permutation_association.distance_covariance_permutation(d["tc"], d["resp"])
    # energy prints the distance correlation where dcor prints n V2
    return tst(test, association.distance_correlation(d["tc"], d["resp"]) if "energy" in r["source"] else None)


@row(r"hyppo_dcorr\[tc,resp\]", "permutation.categories_permutation, association.distance_correlation")
def _dcorr(d: Data, *_: object) -> Answer:
    return tst(
        permutation.categories_permutation(
            lambda x, y: association.distance_correlation(x, y, unbiased=True),
            d["tc"],
            d["resp"],
            n_permutations=9_999,
            centre=-1.0,  # only large values are extreme
            method="bias-corrected distance correlation",
        )
    )


add(
    r"hyppo_mgc\[tc,resp\]",
    "association.multiscale_graph_correlation",
    lambda d, *_: tst(association.multiscale_graph_correlation(d["tc"], d["resp"])),
)
add(
    r"brunner_munzel_perm_mc(100k|20k)\[tc~resp\]",
    "permutation.permutation_test",
    lambda d, *_: tst(permutation.permutation_test(*d.groups("tc"), n_permutations=B)),
)
add(
    r"jonckheere_perm_mc(100k|20k)\[tc,recist\]",
    "permutation_association.jonckheere_permutation",
    lambda d, *_: tst(permutation_association.jonckheere_permutation(d["tc"], d["recist_ord"], n_permutations=B)),
)


@row(r"kruskal_perm_100k\[tc,recist\]", "permutation_association.kruskal_permutation, trend.kruskal_statistic")
def _kruskal(d: Data, *_: object) -> Answer:
    test = permutation_association.kruskal_permutation(d["tc"], d["recist_ord"], n_permutations=B)
    assert abs(test.statistic - trend.kruskal_statistic(d["tc"], d["recist"])) < 1e-9
    return tst(test)


@row(r"logrank_perm100k\[pfs~tc_pos1\]", "permutation.linear_permutation, survival.log_rank_scores")
def _log_rank(d: Data, *_: object) -> Answer:
    test: Test = permutation.linear_permutation(survival.log_rank_scores(*d.pfs), d["tc_pos1"], n_permutations=B)
    # coin orders the groups by their level, so its sign is that of the marker-negative group and of minus the scores
    return tst(test)


@row(r"maxstat_perm100k\[resp~(\w+)\]", "cutpoint.max_selected_permutation")
def _maxstat(d: Data, m: re.Match[str], _: object) -> Answer:
    return tst(cutpoint.max_selected_permutation(d[m[1]], d["resp"], n_permutations=B))


MARKERS = ("tc", "pd1", "ic", "crp")  # coin numbers them in this order


@cache
def _joint(d: Data) -> max_t.MaxT:
    scores = np.column_stack([linear.midranks(d[name]) for name in MARKERS])
    return max_t.max_t(scores, d["resp"], n_permutations=B)


@row(r"maxT_(global_100k|singlestep|stepdown)(?:\[(\w+?)(?:NA)?\])?", "max_t.max_t")
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
