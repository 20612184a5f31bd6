"""Pictures of a relation: levels by response, the forest of AUCs, ROC, response rate by level."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from biomarkers.core.errors import UsageError, did_you_mean
from biomarkers.plot import style as look
from biomarkers.plot.style import GREY, INK, OTHER, PALE, RESPONDER, VERDICT_COLOURS, VERDICT_WORDS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from biomarkers.relate import Relation

_BAND_DRAWS = 1000
_GROUPS = 4
_FEW = 6  # up to so many distinct levels each stands for itself


def plot_levels(relation: Relation, biomarker: str, *, ax: Axes | None = None, endpoint: str = "orr") -> Axes:
    """Levels of responders and of the others, every patient a point, with medians and quartiles.

    Parameters
    ----------
    relation
        The result of :func:`biomarkers.relate`.
    biomarker
        One of its levels.
    ax
        Where to draw; a new figure when None.
    endpoint
        The yes/no end point whose verdict is written above.

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
    >>> ax = bm.plot_levels(relation, "CD274")
    >>> ax.get_ylabel()
    'CD274'
    """
    level, responder = known_groups(relation, biomarker)
    verdict = _verdict(relation, biomarker, endpoint)
    with look.style():
        ax = look.axes(ax, size=(4.6, 4.4))
        skewed = _skewed(level)
        for at, (name, values, colour) in enumerate(
            (("responders", level[responder], RESPONDER), ("others", level[~responder], OTHER))
        ):
            ax.plot(
                at + _beeswarm(values, skewed=skewed), values, "o", ms=5, mfc=colour, mec="white", mew=0.5, alpha=0.85
            )
            if len(values):
                low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
                ax.plot([at - 0.28, at + 0.28], [middle, middle], color=INK, lw=2.2)
                ax.plot([at, at], [low, high], color=INK, lw=1.0)
            ax.text(at, -0.08, f"{name}\nn = {len(values)}", transform=ax.get_xaxis_transform(), ha="center", va="top")
        if skewed:
            ax.set_yscale("symlog", linthresh=_threshold(level))
        words = order_of(relation, biomarker)
        if words:
            ax.set_yticks(range(len(words)), labels=words)
        elif len(values := np.unique(level)) <= _FEW:
            ax.set_yticks(values)
        ax.set_xticks([])
        ax.set_xlim(-0.6, 1.6)
        ax.set_ylabel(biomarker)
        ax.set_title(_headline(verdict), fontsize=9.5)
        return marked(relation, ax)


def plot_forest(relation: Relation, *, ax: Axes | None = None, endpoint: str | None = None) -> Axes:
    """AUC of every biomarker with its 95% (thin) and 90% (thick) interval over the margin, or concordance with its 95%.

    Independence within the margin is the thick interval inside the band; dependence is the test's word, not the
    picture's.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> table = pd.DataFrame({"CD274": np.arange(20.0), "BOR": ["PD", "SD"] * 5 + ["PR", "SD"] * 5})
    >>> relation = bm.relate(table, levels=["CD274"], response="BOR", n_permutations=999)
    >>> ax = bm.plot_forest(relation)
    >>> ax.get_xlabel() != ""
    True
    """
    verdicts = relation.verdicts
    if endpoint is not None:
        verdicts = verdicts[verdicts["endpoint"] == endpoint]
    rows = verdicts.to_dict("records")
    many = len(set(verdicts["endpoint"])) > 1
    with look.style():
        ax = look.axes(ax, size=(7.4, 1.5 + 0.42 * max(len(rows), 1)))
        margin = float(relation.settings["margin"])
        ax.axvline(0.5, color=GREY, lw=1, zorder=1)
        for at, row in enumerate(rows):
            if not np.isnan(row["margin"]):  # the margin is fixed for yes/no end points only
                ax.fill_betweenx([at - 0.5, at + 0.5], 0.5 - margin, 0.5 + margin, color=PALE, lw=0, zorder=0)
            if at and row["endpoint"] != rows[at - 1]["endpoint"]:
                ax.axhline(at - 0.5, color=GREY, lw=0.6)
            _forest_row(ax, at, row)
        names = [f"{row['biomarker']} ({row['endpoint']})" if many else str(row["biomarker"]) for row in rows]
        ax.set_yticks(range(len(rows)), names)
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.set_xlim(0, 1)
        ax.tick_params(axis="y", length=0)
        binary = [not np.isnan(row["margin"]) for row in rows]
        words = "AUC: chance that a responder has the higher level" if all(binary) else "concordance"
        ax.set_xlabel("AUC or concordance" if any(binary) and not all(binary) else words)
        title = f"Margin {margin:g} shaded; thick 90%, thin 95% interval" if any(binary) else "95% interval"
        ax.set_title(title, fontsize=9.5)
        return marked(relation, ax)


def _forest_row(ax: Axes, at: int, row: dict[Any, Any]) -> None:
    colour = VERDICT_COLOURS[row["verdict"]]
    words = VERDICT_WORDS[row["verdict"]]
    scale = "auc" if np.isnan(row["concordance"]) else "concordance"
    if np.isnan(row[scale]):
        ax.text(0.5, at, f"{words}: {row['reason']}", ha="center", va="center", fontsize=8, color=GREY)
        return
    ax.plot([row[f"{scale}_low95"], row[f"{scale}_high95"]], [at, at], color=colour, lw=1.4, zorder=2)
    ax.plot([row["auc_low90"], row["auc_high90"]], [at, at], color=colour, lw=4.5, zorder=3, solid_capstyle="butt")
    ax.plot(row[scale], at, "o", ms=7, mfc="white", mec=colour, mew=2, zorder=4)
    ax.text(1.02, at, words, transform=ax.get_yaxis_transform(), va="center", fontsize=9, color=INK)


def plot_roc(relation: Relation, biomarker: str, *, ax: Axes | None = None, endpoint: str = "orr") -> Axes:
    """ROC curve with a pointwise 95% band (patients resampled within each group, 1,000 times, fixed seed).

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> table = pd.DataFrame({"CD274": np.arange(20.0), "BOR": ["PD", "SD"] * 5 + ["PR", "SD"] * 5})
    >>> relation = bm.relate(table, levels=["CD274"], response="BOR", n_permutations=999)
    >>> ax = bm.plot_roc(relation, "CD274")
    >>> ax.get_xlabel() != ""
    True
    """
    level, responder = known_groups(relation, biomarker)
    verdict = _verdict(relation, biomarker, endpoint)
    yes, no = level[responder], level[~responder]
    with look.style():
        ax = look.axes(ax, size=(4.6, 4.6))
        ax.plot([0, 1], [0, 1], color=GREY, lw=1, ls=(0, (4, 3)))
        if min(len(yes), len(no)) > 0:
            grid = np.linspace(0, 1, 201)
            generator = np.random.default_rng(0)
            curves = np.array([
                _roc(generator.choice(yes, len(yes)), generator.choice(no, len(no)), grid) for _ in range(_BAND_DRAWS)
            ])  # fmt: skip
            low, high = np.quantile(curves, (0.025, 0.975), axis=0)
            ax.fill_between(grid, low, high, color=RESPONDER, alpha=0.15, lw=0)
            false, true = _steps(yes, no)
            ax.plot(false, true, color=RESPONDER)
        ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel="others above the cut", ylabel="responders above the cut")
        ax.set_aspect("equal")
        ax.set_title(f"{biomarker}: {_auc_words(verdict)}", fontsize=9.5)
        return marked(relation, ax)


def plot_response_rate(relation: Relation, biomarker: str, *, ax: Axes | None = None) -> Axes:
    """Response rate by level with Clopper-Pearson intervals.

    Groups are the cut-offs fixed beforehand where there are any; else each level when there are at most six; else four
    groups of about equal size, which are for looking only.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> table = pd.DataFrame({"CD274": np.arange(20.0), "BOR": ["PD", "SD"] * 5 + ["PR", "SD"] * 5})
    >>> relation = bm.relate(table, levels=["CD274"], response="BOR", n_permutations=999)
    >>> ax = bm.plot_response_rate(relation, "CD274")
    >>> ax.get_xlabel() != ""
    True
    """
    from biomarkers.stats.proportions import clopper_pearson

    cuts = relation.settings.get("cutoffs", {}).get(biomarker, ())
    level, responder = known_groups(relation, biomarker, cuts=cuts)
    groups, names, how = level_groups(level, cuts, order_of(relation, biomarker))
    with look.style():
        ax = look.axes(ax, size=(5.2, 4.0))
        overall = 100 * float(responder.mean()) if len(responder) else 0.0
        ax.axhline(overall, color=GREY, lw=1, ls=(0, (4, 3)))
        top = overall
        for at in range(len(names)):
            here = groups == at
            k, n = int(responder[here].sum()), int(here.sum())
            if n == 0:
                continue
            rate = clopper_pearson(k, n)
            top = max(top, 100 * rate.high)
            ax.plot([at, at], [100 * rate.low, 100 * rate.high], color=RESPONDER, lw=2)
            ax.plot(at, 100 * rate.value, "o", ms=8, mfc="white", mec=RESPONDER, mew=2, clip_on=False)
            ax.text(at + 0.09, 100 * rate.value, f"{k}/{n}", va="center", fontsize=9)
        ax.set_xticks(range(len(names)), [name.replace(" to < ", " to\n< ") for name in names])
        ax.set_xlim(-0.5, len(names) - 0.3)
        ax.set_ylim(0, 100 if top > 60 else 70)
        ax.set_xlabel(f"{biomarker}\n({how})")
        ax.set_ylabel("responders, %")
        ax.set_title("95% Clopper-Pearson intervals; dashed: all patients", fontsize=9.5)
        return marked(relation, ax)


def order_of(relation: Relation, biomarker: str) -> list[str]:
    """Words of a level that is ordered, lowest first; empty for a level of numbers."""
    return list(relation.settings.get("orders", {}).get(biomarker, ()))


def level_groups(level: np.ndarray, cuts: Any, words: Sequence[str] = ()) -> tuple[np.ndarray, list[str], str]:
    """Group number of each patient, names of the groups, and how they were made.

    ``words`` are those of an ordered level, whose ranks are grouped.
    """
    if words and not len(cuts):
        distinct = np.unique(level)
        return np.searchsorted(distinct, level), [words[int(rank)] for rank in distinct], "each class"
    if words:
        ranks = np.unique(np.ceil(np.asarray(cuts, dtype=float)).astype(int))
        names = [words[rank] for rank in ranks]
        inner = [f"{low} to below {high}" for low, high in itertools.pairwise(names)]
        made = np.searchsorted(ranks, level, side="right")
        return made, [f"below {names[0]}", *inner, f"{names[-1]} and above"], "cut-offs fixed beforehand"
    chosen = np.unique(np.asarray(cuts, dtype=float)) if len(cuts) else np.array([])
    how = "cut-offs fixed beforehand"
    distinct = np.unique(level)
    if not chosen.size and distinct.size <= _FEW:
        return np.searchsorted(distinct, level), [f"{value:g}" for value in distinct], "each level"
    if not chosen.size:
        chosen = np.unique(np.quantile(level, np.arange(1, _GROUPS) / _GROUPS))
        chosen = chosen[chosen > distinct[0]]  # many ties at the bottom: nobody lies below it
        how = "groups of about equal size, for looking only"
    edges = [f"{value:.3g}" for value in chosen]
    inner = [f"{a} to < {b}" for a, b in itertools.pairwise(edges)]
    return np.searchsorted(chosen, level, side="right"), [f"< {edges[0]}", *inner, f"≥ {edges[-1]}"], how


def known_groups(relation: Relation, biomarker: str, *, cuts: Any = ()) -> tuple[np.ndarray, np.ndarray]:
    """Known levels (to be compared with cuts, if any) and whether each patient responded."""
    data = relation.data
    names = list(relation.settings["levels"])
    if biomarker not in names:
        raise UsageError("no such biomarker", seen=biomarker, allowed=names, hint=did_you_mean(biomarker, names))
    level = relation.levels_at_cuts(biomarker, cuts)
    known = ~np.isnan(level) & data["responder"].notna().to_numpy()
    return level[known], data.loc[known, "responder"].to_numpy(dtype=bool)


def _verdict(relation: Relation, biomarker: str, endpoint: str) -> pd.Series | None:
    rows = relation.verdicts
    rows = rows[(rows["biomarker"] == biomarker) & (rows["endpoint"] == endpoint)]
    return None if rows.empty else rows.iloc[0]


def _headline(verdict: pd.Series | None) -> str:
    if verdict is None:
        return ""
    words = VERDICT_WORDS[verdict["verdict"]]
    return (
        words
        if np.isnan(verdict["auc"])
        else f"{words}\n{_auc_words(verdict)}, {look.p_words(verdict['p_dependence'])}"
    )


def _auc_words(verdict: pd.Series | None) -> str:
    if verdict is None or np.isnan(verdict["auc"]):
        return "AUC undefined"
    return f"AUC {verdict['auc']:.2f} (95% {verdict['auc_low95']:.2f} to {verdict['auc_high95']:.2f})"


def _roc(yes: np.ndarray, no: np.ndarray, grid: np.ndarray) -> np.ndarray:
    return np.interp(grid, *_steps(yes, no))


def _steps(yes: np.ndarray, no: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares above every cut, from (0, 0) to (1, 1)."""
    cuts = np.unique(np.concatenate([yes, no]))[::-1]
    above_no = np.searchsorted(np.sort(-no), -cuts, side="right") / len(no)
    above_yes = np.searchsorted(np.sort(-yes), -cuts, side="right") / len(yes)
    return np.concatenate([[0.0], above_no]), np.concatenate([[0.0], above_yes])


def _skewed(level: np.ndarray) -> bool:
    """Say whether a level asks for a logarithmic scale: nowhere negative, and far above its middle at the top."""
    if not len(level) or level.min() < 0 or level.max() <= 0:
        return False
    return bool(level.max() > 8 * max(float(np.median(level)), _threshold(level)))


def _threshold(level: np.ndarray) -> float:
    positive = level[level > 0]
    return float(np.quantile(positive, 0.05)) if positive.size else 1.0


def _beeswarm(values: np.ndarray, *, skewed: bool) -> np.ndarray:
    """Shift points sideways so that equal levels stand side by side, the same way every time."""
    if not len(values):
        return values
    shown = np.log1p(values / _threshold(values)) if skewed else values
    span = float(np.ptp(shown)) or 1.0
    row = np.round((shown - shown.min()) / span * 28).astype(int)
    shift = np.zeros(len(values))
    fullest = max(int(np.bincount(row).max()), 1)
    step = min(0.07, 0.56 / fullest)
    for which in np.unique(row):
        members = np.flatnonzero(row == which)
        places = np.arange(len(members)) - (len(members) - 1) / 2
        shift[members[np.argsort(values[members], kind="stable")]] = places * step
    return shift


def marked(relation: Relation, ax: Axes) -> Axes:
    """Say on the figure that patients are simulated, where they are."""
    return look.mark_simulated(ax) if relation.simulated else ax
