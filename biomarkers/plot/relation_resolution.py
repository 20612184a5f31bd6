"""Which p-values can occur at all: with few patients or many ties a p-value has steps, and a least one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from biomarkers.core.words import both_groups
from biomarkers.plot import style as look
from biomarkers.plot.relation import known_groups, marked
from biomarkers.plot.style import GREY, INK, RESPONDER, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from biomarkers.relate import Relation

_DRAWS = 20_000


def plot_resolution(relation: Relation, biomarker: str, *, ax: Axes | None = None) -> Axes:
    """Chance under no association of each two-sided rank-test p, given the group sizes and the ties.

    A curve on the diagonal rejects as often as it says; below it the steps of p cost power. The left end is the least p
    that these data could give, whatever the responses.

    Parameters
    ----------
    relation
        The result of :func:`biomarkers.relate`.
    biomarker
        One of its levels.
    ax
        Where to draw; a new figure when None.

    Raises
    ------
    UsageError
        There is no such biomarker in the result.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> table = pd.DataFrame({"CD274": np.arange(20.0), "BOR": ["PD", "SD"] * 5 + ["PR", "SD"] * 5})
    >>> relation = bm.relate(table, levels=["CD274"], response="BOR", n_permutations=999)
    >>> ax = bm.plot_resolution(relation, "CD274")
    >>> ax.get_xlabel() != ""
    True
    """
    level, responder = known_groups(relation, biomarker)
    alpha = float(relation.settings["alpha"])
    with look.style():
        ax = look.axes(ax, size=(5.2, 4.4))
        ax.set(xlabel="p-value", ylabel="chance of such a p or less, if nothing goes on")
        if min(int(responder.sum()), int((~responder).sum())) == 0 or np.ptp(level) == 0:
            ax.text(0.5, 0.5, "no test is possible", transform=ax.transAxes, ha="center", color=GREY)
            return marked(relation, ax)
        p, how = attainable_p(level, int(responder.sum()))
        least = 1 / (int(relation.settings["n_permutations"]) + 1)  # what that many relabellings can show
        low = min(max(10.0 ** math.floor(math.log10(p[0])), least / 2), alpha / 2)  # the level stands inside
        ax.plot([low, 1], [low, 1], color=GREY, lw=1, ls=(0, (4, 3)))
        ax.step(np.concatenate([p, [1.0]]), np.concatenate([p, [1.0]]), where="post", color=RESPONDER)
        ax.plot(p[0], p[0], "o", ms=6, color=RESPONDER)
        ax.axvline(alpha, color=INK, lw=0.9, ls=":")
        ax.text(alpha, low * 1.2, f" {alpha:g}", fontsize=8, color=INK)
        if least > p[0]:
            ax.axvline(least, color=GREY, lw=0.9, ls=":")
            ax.text(least, low * 1.2, " least permutation p", fontsize=8, color=GREY)
        real = float(p[p <= alpha].max(initial=0.0))  # an exact test rejects at its largest p below alpha
        seen = _observed(relation, biomarker)
        if seen is not None:
            at, place = max(seen, low), "right" if seen > 0.3 else "center"
            ax.axvline(at, color=VERMILION, lw=1.2)
            above = ax.get_xaxis_transform()
            ax.text(at, 1.02, f"seen {seen:.2g}", transform=above, color=VERMILION, fontsize=8, ha=place)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlim(low, 1.3)
        ax.set_ylim(low, 1.3)
        n_yes, n_no = int(responder.sum()), int((~responder).sum())
        ax.set_title(
            f"{biomarker}: {both_groups(n_yes, n_no)}\n"
            f"least p {p[0]:.1g}; a test at {alpha:g} rejects in {100 * real:.1f}%\n({how})\n",
            fontsize=9.5,
        )
        return marked(relation, ax)


def attainable_p(level: np.ndarray, n_responders: int) -> tuple[np.ndarray, str]:
    """Two-sided p-values that the rank test can give; each is also the chance of itself or a lesser one.

    Parameters
    ----------
    level
        (n,) levels.
    n_responders
        Size of one group.

    Returns
    -------
    Ascending p-values (k,), and ``"exact"`` or what stands in for it.
    """
    from biomarkers.stats.exact import QUICK_WORK, TooLargeError, split_distribution
    from biomarkers.stats.linear import midranks

    ranks = midranks(level)
    try:
        found = split_distribution(ranks, n_responders, work=QUICK_WORK)
        support, probability, how = found.support, found.probability, "exact"
    except TooLargeError:
        generator = np.random.default_rng(0)
        sums = generator.permuted(np.repeat(ranks[None, :], _DRAWS, axis=0), axis=1)[:, :n_responders].sum(axis=1)
        support, counts = np.unique(np.round(sums, 6), return_counts=True)
        probability, how = counts / _DRAWS, f"by {_DRAWS:,} relabellings"
    distance = np.abs(support - ranks.mean() * n_responders)
    order = np.argsort(-distance, kind="stable")
    cumulated = np.cumsum(probability[order])
    last = np.append(np.diff(distance[order]) < -1e-9, values=True)
    return np.minimum(cumulated[last], 1.0), how


def _observed(relation: Relation, biomarker: str) -> float | None:
    table = relation.table
    rows = table[(table["biomarker"] == biomarker) & table["method"].str.startswith("Wilcoxon-Mann-Whitney")]
    return None if rows.empty else float(rows["p"].iloc[0])
