"""The flow of patients adds up and says why."""

import pandas as pd

from biomarkers.cohort.flow import Step, flow_table


def test_reasons_that_differ_in_a_count_only_add_up():
    patients = [f"P{i}" for i in range(4)]
    responses = pd.Series(["PR", "SD", "SD", "PD"], index=patients)
    few = {"P1": "36 lymphocyte cells, at least 50 needed", "P2": "1 lymphocyte cell, at least 50 needed"}
    steps = [Step("scored", set(patients), ""), Step("analysed: x", {"P0"}, "scored", few, "not measured")]
    row = flow_table(responses, steps).iloc[1]
    assert row["reason"] == "2 with fewer than 50 lymphocyte cells, 1 not measured"
