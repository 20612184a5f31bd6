"""All figures of a relation as PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from biomarkers.plot.relation import plot_forest, plot_levels, plot_response_rate, plot_roc
from biomarkers.plot.relation_reliability import plot_reliability
from biomarkers.plot.relation_resolution import plot_resolution
from biomarkers.plot.relation_sensitivity import plot_sensitivity
from biomarkers.plot.relation_survival import plot_survival
from biomarkers.plot.style import file_stem, save

if TYPE_CHECKING:
    from biomarkers.relate import Relation
    from biomarkers.relate.sensitivity import Sensitivity

_MOST = 12  # biomarkers that get figures of their own


def save_relation_figures(relation: Relation, folder: Path, *, sensitivity: Sensitivity | None = None) -> list[Path]:
    """Write the forest, and for each of the first twelve biomarkers its own figures.

    These are levels by response, response rate by level, ROC and the resolution of p (for a yes/no end point), the AUC
    against the reliability of the measurement (where there is one), times by level (where there are times), and the
    sensitivity panel (where it was made).

    Parameters
    ----------
    relation
        The result of :func:`biomarkers.relate`.
    folder
        Where the PNG files go; names begin with a number, so that they sort as they should be read.
    sensitivity
        The result of :func:`biomarkers.sensitivity` for the same biomarkers.

    Returns
    -------
    The files.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> table = pd.DataFrame({"CD274": np.arange(20.0), "BOR": ["PD", "SD"] * 5 + ["PR", "SD"] * 5})
    >>> relation = bm.relate(table, levels=["CD274"], response="BOR", n_permutations=999)
    >>> from pathlib import Path
    >>> paths = bm.save_relation_figures(relation, Path("figures"))
    >>> all(path.is_file() for path in paths)
    True
    """
    made = [save(plot_forest(relation), folder / "00_forest_of_AUCs.png")]
    names = list(relation.settings["levels"])
    for at, name in enumerate(names[:_MOST], start=1):
        if relation.data[name].notna().sum() < 2:
            continue
        stem = f"{at:02d}_{file_stem(name)}"
        if relation.data["responder"].notna().any():
            made.append(save(plot_levels(relation, name), folder / f"{stem}_levels_by_response.png"))
            made.append(save(plot_response_rate(relation, name), folder / f"{stem}_response_rate_by_level.png"))
            made.append(save(plot_roc(relation, name), folder / f"{stem}_ROC.png"))
            made.append(save(plot_resolution(relation, name), folder / f"{stem}_which_p_can_occur.png"))
        if has_auc(relation, name):
            made.append(save(plot_reliability(relation, name), folder / f"{stem}_AUC_by_reliability.png"))
        if "time" in relation.data:
            made.append(save(plot_survival(relation, name), folder / f"{stem}_times_by_level.png"))
        if sensitivity is not None:
            made.append(save(plot_sensitivity(sensitivity, name), folder / f"{stem}_under_other_choices.png"))
    return made


def has_auc(relation: Relation, name: str) -> bool:
    """Tell whether a biomarker has an AUC with its interval."""
    verdicts = relation.verdicts
    return bool(verdicts.loc[verdicts["biomarker"] == name, "auc_low90"].notna().any())
