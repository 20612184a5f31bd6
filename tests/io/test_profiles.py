"""Each profile on a table laid out as the program or standard it is named after lays it out (simulated cells)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from biomarkers.cohort.assess import assess
from biomarkers.cohort.patients import read_patients
from biomarkers.core.errors import DataError
from biomarkers.io.columns import load_column_map
from biomarkers.relate import relate


def clinical(table: pd.DataFrame, profile: str) -> pd.DataFrame:
    return read_patients(table, columns=load_column_map(profile)).table


def test_adsl_says_who_was_treated_and_when() -> None:
    table = pd.DataFrame(
        {"USUBJID": ["1", "2"], "TRTSDT": ["2020-01-05", None], "SAFFL": ["Y", "N"], "ARM": ["A", "B"]}
    )
    found = clinical(table, "adam_adsl")
    assert found["treated"].tolist() == [True, False]
    assert str(found["first_dose"].iloc[0]).startswith("2020-01-05")


def test_adrs_takes_the_rows_of_the_best_response() -> None:
    rows = [("1", "OVRLRESP", "PR"), ("1", "BOR", "CR"), ("2", "BOR", "MISSING"), ("3", "BOR", "NON-CR/NON-PD")]
    found = clinical(pd.DataFrame(rows, columns=["USUBJID", "PARAMCD", "AVALC"]), "adam_adrs")
    assert found["response"].to_dict() == {"1": "CR", "2": "NE", "3": "SD"}


def test_adtr_gives_the_lesions_of_a_patient() -> None:
    rows = [
        ("1", code, size, day, lesion, organ)
        for day, sizes in ((-3, (30, 20)), (43, (15, 10)), (85, (12, 8)))
        for (lesion, organ), size in zip((("T01", "LIVER"), ("T02", "LUNG")), sizes, strict=True)
        for code in ("LDIAM", "SDIAM")
    ]
    table = pd.DataFrame(rows, columns=["USUBJID", "PARAMCD", "AVAL", "ADY", "TRLNKID", "TULOC"])
    best = assess(lesions=table, columns=load_column_map("adam_adtr")).best.iloc[0]
    assert (best["response"], best["baseline_mm"], best["best_change_percent"]) == ("PR", 50, pytest.approx(-60))


def test_tcga_times_are_days() -> None:
    table = pd.DataFrame({"bcr_patient_barcode": ["TCGA-AA-0001", "TCGA-AA-0002"], "OS": [1, 0],
                          "OS.time": [304.375, 60.875], "PFI": [1, 1], "PFI.time": [30.4375, 60.875]})  # fmt: skip
    found = clinical(table, "tcga")
    assert found["os_months"].tolist() == pytest.approx([10, 2])
    assert found["os_event"].tolist() == [True, False]
    assert found["pfs_months"].tolist() == pytest.approx([1, 2])


def test_two_samples_of_a_tcga_patient_are_not_two_patients() -> None:
    table = pd.DataFrame(
        {"bcr_patient_barcode": ["TCGA-AA-0001-01A", "TCGA-AA-0001-06A"], "OS": [1, 0], "OS.time": [9, 8]}
    )
    with pytest.raises(DataError, match="look alike"):
        clinical(table, "tcga")


def test_cbioportal_status_words() -> None:
    table = pd.DataFrame({"PATIENT_ID": list("abcd"), "OS_MONTHS": [1.0, 2, 3, 4], "PFS_MONTHS": [1.0, 1, 2, 2],
                          "OS_STATUS": ["1:DECEASED", "0:LIVING", "0:LIVING", "1:DECEASED"],
                          "PFS_STATUS": ["1:PROGRESSION", "0:CENSORED", "1:PROGRESSION", "0:CENSORED"]})  # fmt: skip
    found = clinical(table, "cbioportal")
    assert found["os_event"].tolist() == [True, False, False, True]
    assert found["pfs_event"].tolist() == [True, False, True, False]
    with pytest.raises(DataError, match="neither event nor censored"):
        clinical(table.assign(OS_STATUS="2:LOST"), "cbioportal")


def test_redcap_yes_and_no_are_1_and_0() -> None:
    table = pd.DataFrame({"record_id": [1, 2], "redcap_event_name": ["baseline_arm_1"] * 2, "treated": [1, 0],
                          "first_dose_date": ["2021-02-03", "2021-03-04"]})  # fmt: skip
    found = clinical(table, "redcap")
    assert found["treated"].tolist() == [True, False]
    assert load_column_map("redcap").level("x").missing == ("-9", "-99", "-999", "999", "9999")


@pytest.mark.parametrize(
    ("profile", "slide", "level", "high"),
    [("qupath", "Image", "H-score", 301.0), ("qupath", "Image", "Positive %", 101.0),
     ("halo", "Image Tag", "% Positive Cells", 120.0), ("halo", "Image Tag", "H-Score", 1000.0)],
)  # fmt: skip
def test_slides_of_qupath_and_halo_have_units(profile: str, slide: str, level: str, high: float) -> None:
    table = pd.DataFrame({slide: [f"s{i}.svs" for i in range(8)], level: [float(i) for i in range(8)],
                          "BOR": ["PR", "PD"] * 4})  # fmt: skip
    asked = {"levels": level, "response": "BOR", "columns": profile, "n_permutations": 99}
    assert relate(table, **asked).settings["levels"] == [level]  # type: ignore[arg-type]
    table.loc[3, level] = high
    with pytest.raises(DataError, match="lies outside it"):
        relate(table, **asked)  # type: ignore[arg-type]


def test_iatlas_on_the_real_table(shared_data: Path) -> None:
    source = shared_data / "cohorts" / "iatlas" / "iatlas_expression_response.csv"
    columns = load_column_map("iatlas")
    rows = ("Dataset=Riaz 2017", "treatment_when_collected=Pre")
    found = relate(source, levels="CD274", endpoint=["orr", "os"], columns=columns.model_copy(update={"rows": rows}),
                   n_permutations=99)  # fmt: skip
    assert found.verdicts[["n", "n_responders"]].to_numpy().tolist() == [[49, 10], [51, 34]]
