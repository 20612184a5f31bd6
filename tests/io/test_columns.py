"""The contract's parts, each with values worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from biomarkers.cohort.response import classify_response, normalise_responses
from biomarkers.core.errors import BiomarkersError, DataError, UsageError
from biomarkers.io.columns import ColumnMap, LevelColumn, load_column_map, profile_names
from biomarkers.io.columns.cells import choose_rows, require_columns
from biomarkers.io.columns.draft import draft, profile_of
from biomarkers.io.columns.events import read_events
from biomarkers.io.columns.frames import as_frame, fit_table
from biomarkers.io.columns.identity import alike, refuse_look_alikes
from biomarkers.io.columns.order import order_of_words, read_order
from biomarkers.io.columns.units import check_change, check_level, check_times, unit_of_level, unit_of_time


def level(name: str, values: list[float], *, cut: bool = False, **said: object) -> str | None:
    column = LevelColumn.model_validate(said)
    return check_level(pd.Series(values), name, column, where="t", cut=cut)[0]


@pytest.mark.parametrize("name", ["cens_os", "alive", "event_free", "CNSR2", "censored_pfs", "survivor"])
def test_a_name_that_says_the_opposite_stops(name: str) -> None:
    with pytest.raises(UsageError, match=r"its name says.*--event-when"):
        read_events(pd.Series([0, 1, 1]), name, where="t")
    assert read_events(pd.Series([0, 1, 1]), name, where="t", event_when=["1"]).tolist() == [0, 1, 1]
    assert read_events(pd.Series([0, 1, 1]), name, where="t", event_when=["0"]).tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    "cells", [[1, 2, 2], ["Dead", "Alive", "Dead"], ["yes", "no", None], ["1:DECEASED", "0:LIVING"]]
)
def test_another_coding_stops_and_says_what_to_write(cells: list[object]) -> None:
    with pytest.raises(UsageError, match="State it: --event-when 'os="):
        read_events(pd.Series(cells, dtype=object), "os", where="t")


@pytest.mark.parametrize("cells", [[1, 0, None], ["TRUE", "FALSE", ""], [True, False, np.nan], ["1.0", "0", " "]])
def test_one_and_true_are_events_and_blanks_are_missing(cells: list[object]) -> None:
    values = pd.Series([1.0 if c == "1.0" else c for c in cells], dtype=object)
    found = read_events(values, "os_event", where="t")
    assert found[:2].tolist() == [1, 0]
    assert np.isnan(found[2])


@pytest.mark.parametrize(
    ("name", "unit"),
    [("PD-L1 TPS", "percent"), ("TC %", "percent"), ("pct_positive", "percent"), ("Hscore", "score_0_300"),
     ("h_score_membrane", "score_0_300"), ("Histoscore", "score_0_300"), ("CPS", "score_0_100"),
     ("positive_fraction", "fraction"), ("CD8 cells/mm2", "cells_per_mm2"), ("CD8_per_mm2", "cells_per_mm2"),
     ("log2_tps", None), ("TPS_change", None), ("CD274", None)],
)  # fmt: skip
def test_units_are_told_by_names(name: str, unit: str | None) -> None:
    assert unit_of_level(name) == unit


@pytest.mark.parametrize(
    ("name", "values"),
    [("TPS", [5, 50, 101]), ("TPS", [5, -1, 50]), ("TC_pct", [1, 2, 1000]), ("H-score", [10, 301, 20]),
     ("hscore", [-5, 10, 20]), ("histoscore", [100, 450, 5]), ("CPS", [1, 10, 110]), ("fraction", [0.1, 2, 0.3]),
     ("CD8/mm2", [100, -3, 40])],
)  # fmt: skip
def test_a_value_outside_its_unit_stops(name: str, values: list[float]) -> None:
    with pytest.raises(DataError, match=r"row .*lies outside it"):
        level(name, values)


@pytest.mark.parametrize(
    ("values", "code"), [([2.0, 3.0, -99.0], -99), ([5.1, 6.2, 9999.0], 9999), ([1.0, -999.0, 4.0], -999),
                         ([8.0, 888.0, 9.0], 888)]
)  # fmt: skip
def test_a_code_for_missing_is_doubted_unless_it_is_declared(values: list[float], code: int) -> None:
    with pytest.raises(DataError, match=f"code for a missing value.*{code}"):
        level("CD274", values)
    assert level("CD274", values, unit="linear") == "linear"


@pytest.mark.parametrize("values", [[-9.0, -7.5, 3.0], [900.0, 999.0, 1200.0], [-1.0, 0.5, 2.0], [0.0, 50.0, 99.0]])
def test_a_number_among_its_like_is_no_code(values: list[float]) -> None:
    assert level("CD274", values) is None


@pytest.mark.parametrize("values", [[0.05, 0.8, 60, 5], [0.25, 0.75, 30, 0], [0.02, 0.9, 1, 100]])
def test_percent_mixed_with_fractions_stops(values: list[float]) -> None:
    with pytest.raises(DataError, match="mix percent and fractions"):
        level("TPS", values)
    assert level("TPS", values, unit="percent") == "percent"


@pytest.mark.parametrize("values", [[0.5, 0.1, 60, 5], [0.34, 12.71, 55.2, 0.02], [0, 1, 50, 100]])
def test_low_percentages_are_no_fractions(values: list[float]) -> None:
    assert level("TPS", values) == "percent"


def test_fractions_stop_only_where_a_cut_is_set_on_them() -> None:
    assert level("TPS", [0.1, 0.35, 0.8]) == "percent"  # ranks do not know the unit
    with pytest.raises(DataError, match="fractions, not percent"):
        level("TPS", [0.1, 0.35, 0.8], cut=True)


@pytest.mark.parametrize("value", [-100.5, -250.0, -1e4])
def test_no_tumor_shrinks_by_more_than_all(value: float) -> None:
    with pytest.raises(DataError, match="row 1"):
        check_change(pd.Series([-100.0, value]), "bc", where="t")


@pytest.mark.parametrize(
    ("name", "unit"), [("OS_MONTHS", "months"), ("pfs.days", "days"), ("OS (years)", "years"), ("wks", "weeks"),
                       ("osMonths", "months"), ("PFS_mo", "months"), ("AVAL", None), ("demo", None), ("os", None)]
)  # fmt: skip
def test_units_of_time_are_told_by_names(name: str, unit: str | None) -> None:
    assert unit_of_time(name) == unit


@pytest.mark.parametrize(
    ("name", "median"), [("os_months", 400.0), ("os_months", 0.1), ("OS_years", 30.0), ("pfs_months", 61.0),
                         ("os_days", 3.0)]
)  # fmt: skip
def test_a_median_time_that_no_trial_has_stops_unless_it_is_stated(name: str, median: float) -> None:
    values = pd.Series([median * f for f in (0.8, 0.9, 1.0, 1.1, 1.2)])
    unit = unit_of_time(name)
    with pytest.raises(DataError, match="no trial has such a time"):
        check_times(values, name, unit, where="t", stated=False)
    assert "taken as stated" in check_times(values, name, unit, where="t", stated=True)
    assert check_times(pd.Series([5.0, 9, 12, 20, 40]), "os_months", "months", where="t", stated=False) == ""


@pytest.mark.parametrize(
    ("words", "order"),
    [(["TC3", "TC0", "TC1"], "TC0 < TC1 < TC3"), (["2+", "0", "3+"], "0 < 2+ < 3+"),
     (["IC 2", "IC 0"], "IC 0 < IC 2"), ([">=10%", "<1%", "1-9%"], "<1% < 1-9% < >=10%"),
     (["≥50", "<1", "1–49"], "<1 < 1–49 < ≥50"), (["High", "low", "Intermediate"], "low < Intermediate < High"),
     (["positive", "negative"], "negative < positive"), (["strong", "weak", "absent"], "absent < weak < strong")],
)  # fmt: skip
def test_words_that_say_their_order(words: list[str], order: str) -> None:
    assert str(order_of_words(words)) == order


@pytest.mark.parametrize(
    "words", [["<1", "4", "34"], ["IC1+", "IC2", "IC0"], ["A", "B", "C"], ["<5%", "1-49%", "≥50%"]]
)
def test_words_without_an_order_are_left_alone(words: list[str]) -> None:
    assert order_of_words(words) is None


def test_a_stated_order_and_an_ordered_categorical_are_taken() -> None:
    cells = pd.Series(["mild", "none", None, "severe"], dtype=object)
    ranks, order = read_order(cells, "x", LevelColumn(order=("none", "mild", "severe")), where="t")  # type: ignore[misc]
    assert ranks.tolist()[:2] == [1, 0]
    assert np.isnan(ranks[2])
    assert order.rank("severe", level="x") == 2
    kept = pd.Series(pd.Categorical(["b", "a"], categories=["b", "a"], ordered=True))
    assert read_order(kept, "x", LevelColumn(), where="t")[0].tolist() == [0, 1]  # type: ignore[index]
    with pytest.raises(DataError, match=r"row 0.*not in its order"):
        read_order(cells, "x", LevelColumn(order=("none", "severe")), where="t")
    percent = order_of_words(["<1%", "1-49%", ">=50%"])
    assert percent is not None
    assert [percent.rank(cut, level="x") for cut in (1, 50, "1-49%")] == [1, 2, 1]
    with pytest.raises(UsageError, match="none of its classes"):
        percent.rank(25, level="x")


@pytest.mark.parametrize(
    "pair", [("P1", "P1 "), ("A-12", "a12"), ("007-1", "7-1"), ("TCGA-AA-0001-01A", "TCGA-AA-0001-06A"),
             ("Pt3_pre", "Pt3_post"), ("S\u00a01", "S1"), ("001-002", "001002")]
)  # fmt: skip
def test_look_alikes_are_found(pair: tuple[str, str]) -> None:
    assert alike(["X9", *pair]) == [pair]
    with pytest.raises(DataError, match="look_alikes"):
        refuse_look_alikes(pair, where="t")


@pytest.mark.parametrize("pair", [("1-10", "11-0"), ("P1", "P2"), ("A-T1", "A-T2"), ("12", "21"), ("症例1", "患者1")])
def test_different_patients_are_not_look_alikes(pair: tuple[str, str]) -> None:
    assert alike(pair) == []


@pytest.mark.parametrize("word", ["부분관해", "réponse", "ответ", "部分奏効", "?", "5"])
def test_an_unknown_word_in_any_alphabet_stops(word: str) -> None:
    with pytest.raises(DataError, match="row 1"):
        normalise_responses(pd.Series(["PR", word]))


@pytest.mark.parametrize("word", ["SD?", "(CR)", "PD*", "cr †", "?PR"])
def test_a_marked_word_is_doubt_or_footnote(word: str) -> None:
    with pytest.raises(DataError, match="doubt or footnote"):
        normalise_responses(pd.Series(["PR", word]))


@pytest.mark.parametrize("word", ["", "-", "–", None, " . "])
def test_blanks_are_missing(word: object) -> None:
    assert normalise_responses(pd.Series(["PR", word], dtype=object)).isna().tolist() == [False, True]


@pytest.mark.parametrize("word", ["NE", "not evaluable", "Non-evaluable"])
def test_not_evaluable_stands_beside_yes_and_no(word: str) -> None:
    found = classify_response(["R", "NR", word], responders=["R"], non_responders=["NR"])
    assert (found.n, found.n_responders, found.counts["NE"]) == (2, 1, 1)
    with pytest.raises(DataError, match="neither response"):
        classify_response(["R", "NR", "maybe"], responders=["R"], non_responders=["NR"])


@pytest.mark.parametrize("rule", ["coh=1", "coh=1.0", 'coh == "1"'])
def test_rows_are_chosen_by_number_as_by_word(rule: str) -> None:
    table = pd.DataFrame({"coh": [1.0, 2.0, np.nan], "x": [1, 2, 3]})
    assert choose_rows(table, [rule], where="t")[0]["x"].tolist() == [1]
    with pytest.raises(UsageError, match="no row has this value"):
        choose_rows(table, ["coh=3"], where="t")


ADTTE = pd.DataFrame({
    "USUBJID": ["1", "1", "2", "2", "3", "3"], "PARAMCD": ["PFS", "OS"] * 3, "AVAL": [60.875, 304.375, 91.3125, 182.625,
    30.4375, 121.75], "AVALU": "DAYS", "CNSR": [0, 2, 1, 1, 0, 0], "TPS": [50, 50, 0, 0, 10, 10],
})  # fmt: skip


def test_adtte_becomes_a_row_a_patient() -> None:
    made, left = fit_table(ADTTE, load_column_map("adam_adtte"), where="adtte")
    assert left.endpoints == {}
    assert made["pfs_months"].tolist() == pytest.approx([2, 3, 1])
    assert made["pfs_event"].tolist() == [1, 0, 1]
    assert made["os_months"].tolist() == pytest.approx([10, 6, 4])
    assert made["os_event"].tolist() == [0, 0, 1]
    assert made["TPS"].tolist() == [50, 0, 10]
    with pytest.raises(DataError, match="several rows of 'pfs'"):
        fit_table(pd.concat([ADTTE, ADTTE.head(1)]), load_column_map("adam_adtte"), where="adtte")
    with pytest.raises(DataError, match="no unit of time"):
        fit_table(ADTTE.assign(AVALU="fortnights"), load_column_map("adam_adtte"), where="adtte")


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_is_read_and_known_by_its_marks(name: str) -> None:
    profile = load_column_map(name)
    assert profile.title
    assert profile.source
    assert profile.optional
    marks = list(profile.recognised_by)
    assert profile_of([*marks, "other"]) == name
    assert profile.fitted(pd.DataFrame(columns=marks)).patient in (None, profile.patient)


def test_a_draft_is_a_map_that_can_be_read() -> None:
    import tomllib

    table = pd.DataFrame({"ID": ["a", "b"], "TPS": [1, 50], "IC": ["IC0", "IC2"], "BOR": ["PR", "VGPR"]})
    made = ColumnMap.model_validate(tomllib.loads(draft(table)))
    assert (made.patient, made.response) == ("ID", "BOR")
    assert made.levels["TPS"].unit == "percent"
    assert made.levels["IC"].order == ("IC0", "IC2")
    assert '# "vgpr" = ""' in draft(table)
    assert 'which means response, "no" or "yes"?' in draft(table.assign(BOR=["yes", "no"]))


def test_a_map_with_a_wrong_key_or_name_stops() -> None:
    with pytest.raises(UsageError, match="Did you mean 'patient'"):
        load_column_map({"pateint": "ID"})
    with pytest.raises(UsageError, match="Did you mean 'cbioportal'"):
        load_column_map("cbioportl")
    with pytest.raises(UsageError, match="the unit of the times is needed"):
        load_column_map({"endpoints": {"os": {"time": "t", "event": "e", "event_when": 1}}})


def test_tables_of_a_notebook_are_taken_or_end_the_search() -> None:
    import pyarrow as pa

    columns = {"id": ["a", "b"], "x": [1.0, 2.0]}
    assert as_frame(columns)["x"].tolist() == as_frame(pa.table(columns))["x"].tolist() == [1, 2]
    with pytest.raises(UsageError, match="make no table"):
        as_frame({"a": [1], "b": [1, 2]})
    with pytest.raises(UsageError, match="no table"):
        as_frame(7)
    twice = pd.DataFrame([[1, 2]], columns=["x", "x"])
    with pytest.raises(UsageError, match="two columns are called 'x'"):
        require_columns(twice, ["x"], where="t")


def test_relate_takes_what_a_notebook_hands_over(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from biomarkers.relate import relate

    rng = np.random.default_rng(3)
    columns = {"ID": [f"P{i}" for i in range(24)], "CD274": rng.normal(5, 1, 24), "BOR": ["PR", "SD", "PD"] * 8}
    asked = {"levels": "CD274", "response": "BOR", "patient": "ID", "n_permutations": 99}
    frame = pd.DataFrame(columns)
    frame.to_csv(tmp_path / "t.csv", index=False)
    want = relate(frame, **asked).verdicts  # type: ignore[arg-type]
    for given in (columns, str(tmp_path / "t.csv"), frame.assign(y=1).set_axis([*columns, "BOR2"], axis=1)):
        pd.testing.assert_frame_equal(relate(given, **asked).verdicts, want)  # type: ignore[arg-type]
    shown = relate(frame, **asked).settings["reading"]  # type: ignore[arg-type]
    assert shown.startswith("This is how I read your table: patient = ID")


def test_several_samples_of_a_patient_have_a_rule_a_biomarker() -> None:
    from biomarkers.cohort.join import build_cohort

    def rows(score: str, values: list[float], counts: list[float], all_: list[float]) -> pd.DataFrame:
        return pd.DataFrame({
            "slide": ["s1", "s2"], "region": "all", "marker": "PD-L1", "score": score, "value": values, "unit": "",
            "ci_low": np.nan, "ci_high": np.nan, "numerator": counts, "denominator": all_, "status": "ok", "reason": "",
            "patient": "A", "timepoint": "baseline",
        })  # fmt: skip

    scores = pd.concat(
        [rows("tps", [10, 40], [10, 120], [100, 300]), rows("h_score", [10, 50], [np.nan] * 2, [100, 300])]
    )
    clinical = pd.DataFrame({"patient": ["A"], "response": ["PR"]})
    made = build_cohort(scores=[scores], clinical=clinical, several="pool")
    assert made.to_df().iloc[0].to_dict() == {"PD-L1 tps": pytest.approx(32.5), "PD-L1 h_score": pytest.approx(40)}
    assert made.uns["pooling"]["PD-L1 tps"] == "counts pooled"
    assert "weighted by area" in made.uns["pooling"]["PD-L1 h_score"]
    other = ColumnMap(pooling={"PD-L1 h_score": "max"})
    made = build_cohort(scores=[scores], clinical=clinical, several="pool", columns=other)
    assert made.to_df()["PD-L1 h_score"].item() == 50


@pytest.mark.parametrize("sums", [[7.8, 3.8], [4.0, 5.0], [9.9, 2.0]])
def test_sums_in_cm_are_doubted(sums: list[float]) -> None:
    from biomarkers.cohort.assess import assess

    visits = pd.DataFrame({"patient": ["A", "A"], "day": [0, 43], "sum_mm": sums})
    with pytest.raises(BiomarkersError, match="is it in cm"):
        assess(visits)
    stated = ColumnMap.model_validate({"visits": {"size_unit": "cm"}})
    assert assess(visits, columns=stated).visits["sum_mm"].tolist() == [10 * size for size in sums]


def test_a_gdc_folder_with_its_sample_sheet_is_a_matrix(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from biomarkers.expression import express

    head = "gene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\ttpm_unstranded\n"
    sheet = []
    for i in range(3):
        file = tmp_path / f"uuid{i}" / f"f{i}.rna_seq.augmented_star_gene_counts.tsv"
        file.parent.mkdir()
        rows = f"N_unmapped\t\t\t9\t9\t9\t\nENSG1.1\tCD274\tprotein_coding\t{i}\t0\t0\t{i + 1}.0\n"
        rows += f"ENSG2.1\tPDCD1\tprotein_coding\t{i}\t0\t0\t3.0\n"
        file.write_text("# gene-model: GENCODE v36\n" + head + rows)
        sheet.append({"File ID": f"uuid{i}", "File Name": file.name, "Case ID": f"C{i}", "Sample ID": f"C{i}-01A"})
    found = express(tmp_path, genes=["CD274"], signatures=[], sheet=pd.DataFrame(sheet), patient="patient")
    levels = found.levels[found.levels["score"] == "log2_tpm"]
    assert levels["value"].tolist() == pytest.approx(np.log2([2, 3, 4]).tolist())
    assert levels["patient"].tolist() == ["C0", "C1", "C2"]


def test_the_samples_of_a_geo_series_matrix_are_a_table(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from biomarkers.cohort.patients import read_patients

    path = tmp_path / "GSE1_series_matrix.txt"
    path.write_text(
        '!Series_title\t"x"\n!Sample_title\t"a"\t"b"\n!Sample_geo_accession\t"GSM1"\t"GSM2"\n'
        '!Sample_characteristics_ch1\t"recist: PR"\t"recist: PD"\n!Sample_characteristics_ch1\t""\t"age: 61"\n'
        '!series_matrix_table_begin\n"ID_REF"\t"GSM1"\t"GSM2"\n"CD274"\t1\t2\n!series_matrix_table_end\n'
    )
    columns = load_column_map("geo_series_matrix").model_copy(update={"response": "recist"})
    found = read_patients(path, columns=columns).table
    assert found["response"].to_dict() == {"GSM1": "PR", "GSM2": "PD"}
    assert found["age"].tolist()[1] == 61


def test_the_sample_sheet_of_express_is_held_to_the_contract() -> None:
    from anndata import AnnData

    from biomarkers.expression import express

    counts = AnnData(np.array([[5.0, 9], [3, 4], [8, 1]]), var=pd.DataFrame(index=["CD274", "ACTB"]))
    counts.obs_names = ["a", "b", "c"]
    sheet = pd.DataFrame({"sample": ["a", "b", "c"], "who": ["P1", "P1 ", "P2"]})
    with pytest.raises(DataError, match=r"look alike.*'P1' and 'P1 '"):
        express(counts, genes=["CD274"], signatures=[], sheet=sheet, patient="who")
    distinct = {"patient": "who", "look_alikes": "distinct"}
    found = express(counts, genes=["CD274"], signatures=[], sheet=sheet, columns=distinct).levels
    assert found["patient"].tolist() == ["P1", "P1 ", "P2"]


def test_figures_of_an_ordered_level_bear_its_words() -> None:
    from biomarkers.plot.relation import plot_levels, plot_response_rate
    from biomarkers.relate import relate

    rng = np.random.default_rng(5)
    words = rng.choice(["IC0", "IC1", "IC2", "IC3"], 40)
    table = pd.DataFrame({"IC": words, "BOR": ["PR", "PD"] * 20})
    found = relate(table, levels="IC", response="BOR", n_permutations=99, cutoffs={"IC": "IC2"})
    ticks = [label.get_text() for label in plot_levels(found, "IC").get_yticklabels()]
    assert ticks == ["IC0", "IC1", "IC2", "IC3"]
    groups = [label.get_text() for label in plot_response_rate(found, "IC").get_xticklabels()]
    assert groups == ["below IC2", "IC2 and above"]


@pytest.mark.parametrize("odd", ["logarithms", "a thousand times", "the others are logarithms"])
def test_one_sample_on_another_scale_stops(odd: str) -> None:
    from anndata import AnnData

    from biomarkers.expression import express

    rng = np.random.default_rng(1)
    values = rng.lognormal(3, 2, (5, 400))
    logged = np.log2(values + 1)
    values[2] = {"logarithms": logged[2], "a thousand times": 1000 * values[2]}.get(odd, values[2])
    if odd.startswith("the others"):
        values = np.where(np.arange(5)[:, None] == 2, values, logged)
    data = AnnData(values, var=pd.DataFrame(index=["CD274", *(f"GENE{i}" for i in range(399))]))
    data.obs_names = list("abcde")
    with pytest.raises(DataError, match=r"sample c.*another scale"):
        express(data, genes=["CD274"], signatures=[])
    assert express(data, genes=["CD274"], signatures=[], scale="linear").scale == "linear"


@pytest.mark.parametrize(
    "name", ["Zensiert", "lebt", "ereignisfrei", "vivant", "sans_progression", "PFSfree", "non_event"]
)
def test_names_that_deny_the_event_in_any_language_say_the_opposite(name):
    from biomarkers.io.columns.events import says_opposite

    assert says_opposite(name)


@pytest.mark.parametrize(
    "name", ["event", "os_event", "Progress", "PFS_status", "death", "freedom", "note", "recurrence"]
)
def test_names_of_the_event_do_not(name):
    from biomarkers.io.columns.events import says_opposite

    assert not says_opposite(name)
