"""Levels of samples, cells by type, and how far protein and mRNA agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from biomarkers.core.errors import UsageError, did_you_mean
from biomarkers.core.keys import OK
from biomarkers.expression.concordance import Concordance
from biomarkers.expression.express import Expression
from biomarkers.plot.style import BLUE, GREY, INK, PALETTE, VERMILION, axes, p_words, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_sample_levels(expression: Expression, *, marker: str, by: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw one point a sample, sorted into groups by a column of the levels, with the group's median.

    Parameters
    ----------
    expression
        The result of ``express``.
    marker
        Gene or signature.
    by
        Column of the levels: ``timepoint``, ``batch``; all samples in one group when None.
    ax
        Axes to draw on; made when absent.

    Returns
    -------
    The Axes.

    Raises
    ------
    UsageError
        There is no such marker or column.

    Examples
    --------
    >>> import biomarkers as bm
    >>> found = bm.express(bm.sample_trial().expression, genes=["CD274"])
    >>> ax = bm.plot_sample_levels(found, marker="CD274", by="timepoint")
    >>> len(ax.get_xticklabels())
    2
    """
    rows = _rows(expression, marker)
    if by is not None and by not in rows:
        raise UsageError("no such column", seen=by, allowed=list(rows.columns), hint=did_you_mean(by, rows.columns))
    groups = {"all samples": rows} if by is None else dict(list(rows.groupby(by, sort=True)))
    ax = axes(ax, size=(1.6 + 1.2 * len(groups), 3.8))
    with style():
        for at, (_, part) in enumerate(groups.items()):
            values = part["value"].to_numpy(dtype=float)
            # spread by rank: the same points stand at the same place in every run
            spread = 0.3 * (np.argsort(np.argsort(part["sample"].to_numpy())) / max(len(part) - 1, 1) - 0.5)
            ax.scatter(at + spread, values, s=18, color=PALETTE[at % len(PALETTE)], alpha=0.8, linewidths=0)
            ax.hlines(np.median(values), at - 0.25, at + 0.25, color=INK, linewidth=2)
        ax.set_xticks(range(len(groups)), [f"{name!s}\nn = {len(part)}" for name, part in groups.items()])
        ax.set_xlim(-0.6, len(groups) - 0.4)
        ax.set_ylabel(str(rows["unit"].iloc[0]))
        ax.set_title(marker)
    return ax


def plot_cell_types(expression: Expression, *, marker: str, ax: Axes | None = None) -> Axes:
    """Draw samples against cell types: size = fraction of cells that express, colour = mean among those.

    Parameters
    ----------
    expression
        The result of ``express`` with a cell type.
    marker
        Gene.
    ax
        Axes to draw on; made when absent.

    Returns
    -------
    The Axes. What is not evaluable for want of cells is a small cross; an expressed mean of too few cells is grey.

    Raises
    ------
    UsageError
        There are no cell types, or no such marker.

    Examples
    --------
    >>> import anndata as ad
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> counts = np.random.default_rng(0).poisson(3.0, (60, 40)).astype(float)
    >>> obs = pd.DataFrame({"sample": ["a", "b"] * 30, "type": ["T", "T", "B"] * 20}, index=[str(i) for i in range(60)])
    >>> cells = ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=["CD274", *(f"G{i}" for i in range(39))]))
    >>> found = bm.express(cells, genes=["CD274"], scale="counts", sample="sample", cell_type="type", min_cells=5)
    >>> ax = bm.plot_cell_types(found, marker="CD274")
    >>> sorted(label.get_text() for label in ax.get_xticklabels())
    ['a', 'b']
    """
    rows = expression.levels[expression.levels["marker"] == marker]
    if "cell_type" not in rows or (rows["cell_type"].fillna("") == "").all():
        raise UsageError("no cell types, or no such marker", seen=marker, hint="Give cell_type to express.")
    rows = rows[rows["cell_type"] != ""]
    share = _grid(rows, "expressing_fraction")
    mean = _grid(rows, "mean_in_expressing")
    ax = axes(ax, size=(2.2 + 0.35 * share.shape[1], 1.4 + 0.45 * share.shape[0]))
    y, x = (grid.ravel() for grid in np.indices(share.shape))
    size, colour = share.to_numpy().ravel(), mean.to_numpy().ravel()
    with style():
        ax.scatter(x[np.isnan(size)], y[np.isnan(size)], marker="x", s=14, color=GREY, linewidths=0.8)
        grey = ~np.isnan(size) & np.isnan(colour)
        ax.scatter(x[grey], y[grey], s=8 + 200 * size[grey], color="#CCCCCC", edgecolors=GREY, linewidths=0.5)
        fine = ~np.isnan(size) & ~np.isnan(colour)
        drawn = ax.scatter(x[fine], y[fine], s=8 + 200 * size[fine], c=colour[fine], cmap="viridis", linewidths=0)
        if fine.any() and ax.figure is not None:
            ax.figure.colorbar(drawn, ax=ax, label="mean in expressing cells", shrink=0.8)
        ax.set_yticks(range(len(share)), [str(name) for name in share.index])
        ax.set_xticks(range(share.shape[1]), [str(name) for name in share.columns], rotation=90, fontsize=8)
        ax.set_ylim(len(share) - 0.5, -0.5)
        ax.set_title(f"{marker}: size = fraction of cells expressing")
    return ax


def plot_agreement(found: Concordance, *, ax: Axes | None = None) -> Axes:
    """Draw one level against the other, with Spearman's correlation and its interval.

    Parameters
    ----------
    found
        The result of ``concordance``.
    ax
        Axes to draw on; made when absent.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> level = np.arange(12.0)
    >>> found = bm.concordance(pd.DataFrame({"rna": level, "protein": level**2}), one="rna", two="protein")
    >>> bm.plot_agreement(found).get_xlabel() != ""
    True
    """
    one, two = found.settings["one"], found.settings["two"]
    rho = found.table[(found.table["statistic"] == "spearman") & (found.table["stratum"] == "")].iloc[0]
    ax = axes(ax)
    with style():
        ax.scatter(found.points[one], found.points[two], s=20, color=BLUE, alpha=0.7, linewidths=0)
        words = list(found.settings["order"])
        if words and set(found.points[one].unique()) <= set(range(len(words))):
            ax.set_xticks(range(len(words)), words)
        ax.set_xlabel(one)
        ax.set_ylabel(two)
        interval = "" if np.isnan(rho["ci_low"]) else f" ({rho['ci_low']:.2f} to {rho['ci_high']:.2f})"
        text = f"Spearman {rho['value']:.2f}{interval}\n{p_words(rho['p'])}, n = {rho['n']}"
        ax.set_title(text if not np.isnan(rho["value"]) else "Spearman undefined", fontsize=10)
    return ax


def plot_differences(found: Concordance, *, ax: Axes | None = None) -> Axes:
    """Draw Bland and Altman's picture: difference against mean, bias and limits with their intervals.

    Parameters
    ----------
    found
        The result of ``concordance``.
    ax
        Axes to draw on; made when absent.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> level = np.arange(12.0)
    >>> found = bm.concordance(pd.DataFrame({"rna": level, "protein": level**2}), one="rna", two="protein")
    >>> bm.plot_differences(found).get_ylabel() != ""
    True
    """
    ax = axes(ax)
    rows = found.table.set_index("statistic")
    with style():
        ax.scatter(found.points["mean"], found.points["difference"], s=20, color=BLUE, alpha=0.7, linewidths=0)
        for name, colour in (
            ("bland_altman_bias", INK),
            ("bland_altman_lower_limit", VERMILION),
            ("bland_altman_upper_limit", VERMILION),
        ):
            value, low, high = (float(x) for x in rows.loc[name, ["value", "ci_low", "ci_high"]].to_numpy(dtype=float))
            if not np.isnan(value):
                ax.axhspan(low, high, color=colour, alpha=0.12, linewidth=0)
                ax.axhline(value, color=colour, linewidth=1.2)
        unit = "" if found.settings["compared"] == "as given" else " (standardised)"
        ax.set_xlabel(f"mean{unit}")
        ax.set_ylabel(f"{found.settings['one']} - {found.settings['two']}{unit}", fontsize=9)
        ax.set_title("Bias and 95% limits of agreement", fontsize=10)
    return ax


def _rows(expression: Expression, marker: str) -> pd.DataFrame:
    levels = expression.levels
    if marker not in set(levels["marker"]):
        known = sorted(set(levels["marker"]))
        raise UsageError("no such marker", seen=marker, allowed=known, hint=did_you_mean(marker, known))
    rows = levels[levels["marker"] == marker]
    return rows[(rows["score"] == rows["score"].iloc[0]) & (rows["status"] == OK)]


def _grid(rows: pd.DataFrame, score: str) -> pd.DataFrame:
    chosen = rows[rows["score"] == score + " in " + rows["cell_type"]]
    return chosen.pivot_table(index="cell_type", columns="sample", values="value", dropna=False)
