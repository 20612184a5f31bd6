"""How reliable must the measurement of each biomarker of the shared cohorts have been for its claim to stand?

python benchmarks/reliability_of_cohorts.py ../shared/data/cohorts
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from biomarkers.relate import relate

COLUMNS = ["biomarker", "n", "n_responders", "verdict", "auc", "auc_low90", "auc_high90", "smallest_reliability"]
ORDER = {f"{kind}{at}{plus}": at for kind in ("IC", "TC") for at in range(4) for plus in ("", "+")}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--permutations", type=int, default=1_999)
    asked = parser.parse_args()
    made = []
    iatlas = pd.read_csv(asked.folder / "iatlas" / "iatlas_expression_response.csv", low_memory=False)
    iatlas = iatlas[iatlas["treatment_when_collected"] == "Pre"].dropna(subset=["rec"])
    for trial, part in iatlas.groupby("Dataset"):
        made.append(
            (f"iAtlas, {trial}", part, {"levels": ["CD274", "PDCD1"], "response": "rec", "patient": "Sample_ID"})
        )
    clinical = pd.read_csv(asked.folder / "imvigor210" / "clinical.csv")
    for name in ("IC", "TC"):
        clinical[f"SP142 {name}"] = clinical[f"{name}.Level"].map(ORDER)
    made.append((
        "IMvigor210", clinical,
        {"levels": ["SP142 IC", "SP142 TC"], "response": "Best.Confirmed.Overall.Response", "patient": "X"},
    ))  # fmt: skip
    loris = pd.read_csv(asked.folder / "loris" / "nsclc_pdl1_tps_response.csv")
    for cohort, part in loris[loris["CancerType"] == "NSCLC"].groupby("cohort"):
        made.append((
            f"LORIS, {cohort}", part,
            {"levels": ["PDL1_TPS(%)"], "response": "Response", "responders": ["1"], "non_responders": ["0"],
             "patient": "SAMPLE_ID"},
        ))  # fmt: skip
    rows = []
    for name, table, options in made:
        found = relate(table, n_permutations=asked.permutations, where=name, **options).verdicts
        rows.append(found[COLUMNS].assign(cohort=name))
    print(pd.concat(rows)[["cohort", *COLUMNS]].to_string(index=False, float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
