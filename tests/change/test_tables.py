"""Plain tables of samples: limits written into cells, counts behind a share, pooling, and what is told of the rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from biomarkers.change.masking import masking_notes
from biomarkers.change.measure import measure_change
from biomarkers.change.result import Change
from biomarkers.core.errors import DataError, UsageError

BEFORE, AFTER = [10.0, 30.0, 7.0, 12.0, 15.0, 20.0], [30.0, 70.0, 15.0, 40.0, 31.0, 50.0]


def _table(before: list[object], after: list[object], **columns: list[object]) -> pd.DataFrame:
    one = pd.DataFrame(
        {"patient": [f"P{i}" for i in range(len(before))], "timepoint": "baseline", "x": before, **columns}
    )
    return pd.concat([one, one.assign(timepoint="on_treatment", x=after)], ignore_index=True)


def _measure(table: pd.DataFrame, **options: object) -> Change:
    return measure_change(table, levels=["x"], **options)  # type: ignore[arg-type]


def _counted(rows: list[tuple[str, str, int, int]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["patient", "timepoint", "yes", "all"])
    return table.assign(x=100 * table["yes"] / table["all"])


# -- limits ---


@pytest.mark.parametrize("cell", ["<5", "< 5", "<5.0", "<LOD", "<LLOQ", "BLQ", "≤5", 4.0])
def test_a_cell_below_its_limit_is_censored_there(cell: object) -> None:
    table = _table([cell, *BEFORE[1:]], AFTER)
    first = _measure(table, lloq={"x": 5.0}).pairs.iloc[0]
    assert (first["baseline"], first["baseline_censored"], first["bound"]) == (5.0, True, "at least")


def test_a_limit_must_be_the_one_that_was_named() -> None:
    table = _table(["<1", *BEFORE[1:]], AFTER)
    with pytest.raises(DataError, match=r"row 0 .*below another limit.*found '<1'; allowed: <5"):
        _measure(table, lloq={"x": 5.0})
    with pytest.raises(DataError, match=r"row 0 .*must hold numbers; found '<1'.*--lloq"):
        _measure(table)


def test_a_column_may_mark_levels_at_their_limit() -> None:
    table = _table(BEFORE, AFTER, low=["yes", "no", None, "no", "no", "no"])
    found = _measure(table, censored={"x": "low"})
    assert found.pairs["bound"].tolist() == ["both below limit", *[""] * 5]
    with pytest.raises(UsageError, match="a mark of the lower limit for a level that is not there"):
        _measure(table, censored={"y": "low"})


# -- counts ---


def test_counts_give_half_a_count_as_offset() -> None:
    table = _counted([("P1", "baseline", 0, 200), ("P1", "on_treatment", 40, 400)])
    found = _measure(table, scale="percent", counts={"x": ("yes", "all")})
    expected = np.log(40.5 / 360.5) - np.log(0.5 / 200.5)
    assert found.pairs["change"].iloc[0] == pytest.approx(expected)
    assert "1/2 count added to both sides" in found.settings["scale"]["x"]


def test_samples_pool_as_sums_never_as_means() -> None:
    table = _counted([("P1", "baseline", 10, 100), ("P1", "baseline", 360, 900), ("P1", "on_treatment", 500, 1000)])
    counts = {"x": ("yes", "all")}
    with pytest.raises(DataError, match=r"two samples of one patient at one time point.*--several pool"):
        _measure(table, scale="percent", counts=counts)
    one = _measure(table, scale="percent", counts=counts, several="pool").pairs.iloc[0]
    assert one["baseline"] == pytest.approx(37.0)
    assert one["change"] == pytest.approx(np.log(500.5 / 500.5) - np.log(370.5 / 630.5))
    mean = _measure(table, scale="percent", counts=counts, several="mean").pairs.iloc[0]
    assert mean["baseline"] == pytest.approx(25.0)
    plain = _measure(table, scale="percent", several="pool")  # no counts: their mean, and it is said
    assert plain.pairs.iloc[0]["baseline"] == pytest.approx(25.0)
    assert any("x: its samples have no counts to pool" in note for note in plain.notes)


def test_order_of_rows_does_not_matter_to_pooling() -> None:
    rng = np.random.default_rng(0)
    rows = [
        (f"P{i % 8}", point, int(rng.integers(0, 50)), int(rng.integers(50, 500)))
        for i in range(24)
        for point in ("baseline", "on_treatment")
    ]
    table = _counted(rows)
    made = [
        _measure(one, scale="percent", counts={"x": ("yes", "all")}, several="pool").pairs.sort_values("patient")
        for one in (table, table.sample(frac=1, random_state=1))
    ]
    pd.testing.assert_frame_equal(made[0].reset_index(drop=True), made[1].reset_index(drop=True))


def test_counts_that_do_not_give_their_share_stop() -> None:
    table = _counted([("P1", "baseline", 10, 100), ("P1", "on_treatment", 40, 400)])
    with pytest.raises(DataError, match=r"rows 0, 1 .*do not give column 'x'; found '10 of 100, level 10\.0'"):
        _measure(table, scale="fraction", counts={"x": ("yes", "all")})


# -- what is told ---


def test_samples_at_other_time_points_are_told() -> None:
    table = _table(BEFORE, AFTER)
    table.loc[0, "timepoint"] = "Baseline "
    table.loc[1, "timepoint"] = None
    table.loc[2, "timepoint"] = "C5D1"
    notes = " | ".join(_measure(table).notes)
    assert "1 samples without a time point are left out" in notes
    assert "samples at other time points are left out: 'Baseline' (1), 'C5D1' (1)" in notes
    assert "'Baseline' resembles 'baseline' and was NOT taken for it" in notes


def test_look_alike_patients_stop_until_they_are_told_apart() -> None:
    table = _table(BEFORE, AFTER)
    table.loc[0, "patient"] = "p0 "
    with pytest.raises(DataError, match="one patient here under two spellings"):
        _measure(table)
    notes = " | ".join(_measure(table, columns={"look_alikes": "distinct"}).notes)
    assert "differ only by case, padding or zeros count as different patients: 'p0 ' and 'P0'" in notes


@pytest.mark.parametrize(
    ("name", "scale", "asked"),
    [
        ("PDL1_TPS", "linear", "PDL1_TPS=percent"),
        ("CD8 (%)", "linear", "CD8 (%)=percent"),
        ("log2_CD8", "linear", "log2_CD8=log2"),
        ("share", "percent", "share=fraction"),
        ("PDL1_TPS", "percent", ""),
        ("density", "linear", ""),
    ],
)
def test_a_scale_that_its_name_or_range_speaks_against_is_asked_for(name: str, scale: str, asked: str) -> None:
    levels = [level / 100 for level in BEFORE] if name == "share" else BEFORE
    table = _table(levels, levels[::-1]).rename(columns={"x": name})
    notes = [note for note in measure_change(table, levels=[name], scale=scale).notes if "say so" in note]
    assert bool(notes) is bool(asked)
    if asked:
        assert f"--scale '{asked}'" in notes[0]


@pytest.mark.parametrize(
    ("column", "drug", "warned"),
    [
        ("PDL1_TPS", "atezolizumab", "binds PD-L1"),
        ("PD-L1.H-score", "Imfinzi 1500 mg", "binds PD-L1"),
        ("tps", "MPDL3280A", "binds PD-L1"),
        ("CD274_IHC", "avelumab", "binds PD-L1"),
        ("PD1 density", "Keytruda", "binds PD-1"),
        ("PDL1_TPS", "pembrolizumab", ""),
        ("CD274", "atezolizumab", ""),
        ("PDL1_mRNA", "atezolizumab", ""),
        ("PD-L1 (TPM)", "atezolizumab", ""),
        ("PDCD1LG2", "atezolizumab", ""),
        ("CD8", "atezolizumab", ""),
        ("PDL1_TPS", "atezolizumb", "binds PD-L1"),
        ("PDL1_TPS", "durvalimab", "binds PD-L1"),
        ("PDL1_TPS", "aveluma", "not known as an antibody"),
        ("PDL1_TPS", "cisplatin", "not known as an antibody"),
    ],
)
def test_masking_reads_the_names_of_columns_and_drugs(column: str, drug: str, warned: str) -> None:
    notes = masking_notes({column: column}, {}, drug)
    assert bool(notes) is bool(warned)
    assert not notes or warned in notes[0]
