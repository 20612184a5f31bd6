"""The shipped assays as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from biomarkers.core.config import Assay, assay_names, load_assay

if TYPE_CHECKING:
    import pandas as pd


def assay_table() -> pd.DataFrame:
    """Tabulate every shipped assay: marker, compartment, cuts, scores, cut-offs, sources.

    Examples
    --------
    >>> assay_table().set_index("assay").loc["sp142", "cutoffs"]
    'tc_percent 1, 5, 50; ic_percent 1, 5, 10'
    """
    import pandas as pd

    return pd.DataFrame([_row(load_assay(name)) for name in assay_names()])


def _row(assay: Assay) -> dict[str, str]:
    cuts = assay.thresholds
    rules = [f"from {cuts.source}"]
    if cuts.min_completeness:
        rules.append(f"at least {100 * cuts.min_completeness:g} % of the outline stained")
    return {
        "assay": assay.name,
        "title": assay.title,
        "marker": assay.marker,
        "compartment": assay.compartment,
        "immune_compartment": assay.immune_compartment or assay.compartment,
        "scored_class": assay.scored_class,
        "cuts_od": " / ".join(f"{cut:g}" for cut in cuts.dab_od),
        "thresholds": "; ".join(rules),
        "scores": ", ".join(assay.scores),
        "cutoffs": "; ".join(f"{name} {', '.join(f'{cut:g}' for cut in cuts)}" for name, cuts in assay.cutoffs.items()),
        "min_cells": "; ".join(f"{name} {least}" for name, least in assay.min_cells.items()),
        "reference": assay.reference,
        "note": assay.note,
    }
