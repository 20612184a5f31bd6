"""Every faulty table, in every verb it can be given to: the same right answer, or the same stop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from biomarkers.change.measure import measure_change
from biomarkers.cohort.join import build_cohort
from biomarkers.cohort.patients import read_patients
from biomarkers.cohort.tables import read_table
from biomarkers.core.errors import BiomarkersError
from biomarkers.expression import concordance, express
from biomarkers.io.columns import ColumnMap
from biomarkers.relate import relate

Table = pd.DataFrame


def ask(table: Table, *, level: str = "CD274", **options: Any) -> Any:
    settings = {"response": "BOR", "patient": "ID", "n_permutations": 99, **options}
    return relate(table, levels=[level], **settings)


def by_relate(table: Table, level: str) -> None:
    ask(table, level=level)


def by_change(table: Table, level: str) -> None:
    both = pd.concat([table.assign(visit="a"), table.assign(visit="b")], ignore_index=True)
    measure_change(
        both, levels=[level], patient="ID", timepoint="visit", baseline="a", on_treatment="b", response="BOR"
    )


def by_concordance(table: Table, level: str) -> None:
    concordance(table, one=level, two="CD274" if level != "CD274" else "TPS", patient="ID")


def by_cohort(table: Table, level: str) -> None:
    rows = table[["ID", level]].rename(columns={"ID": "sample", level: "value"})
    unit = "%" if level == "TPS" else "score"
    rows = rows.assign(marker="PD-L1", assay="ihc", score=level, unit=unit, scale="linear", status="ok", reason="")
    build_cohort(levels=[rows], clinical=table, columns=ColumnMap(patient="ID", response="BOR"))


VERBS: dict[str, Callable[[Table, str], None]] = {
    "relate": by_relate, "change": by_change, "concordance": by_concordance, "cohort": by_cohort
}  # fmt: skip
LEVELS = ("relate", "change", "concordance", "cohort")
RESPONSES = ("relate", "change", "cohort")
BAD = [
    ("t07e_out.csv", "TPS", "150.*0 to 100", LEVELS),
    ("t21_sent.csv", "TPS", "-9.*missing", LEVELS),
    ("t21b_sent999.csv", "TPS", "999.*missing", LEVELS),
    ("g08_hscore.csv", "H-score", "3000.*0 to 300", LEVELS),
    ("t25_cjk.csv", "CD274", r"not a response word.*部分缓解.*\[words\]", RESPONSES),
    ("t25b_cyr.csv", "CD274", r"not a response word.*ЧО.*\[words\]", RESPONSES),
    ("g01_trail.csv", "CD274", "look alike.*'001-001' and '001-001 '", LEVELS),
    ("g02_alike.csv", "CD274", "look alike.*'001-001' and '001_001'", LEVELS),
    ("t07b_tpslt.csv", "TPS", "number.*<1", LEVELS),
]


@pytest.mark.parametrize(
    ("file", "level", "message", "verb"),
    [(file, level, message, verb) for file, level, message, verbs in BAD for verb in verbs],
)
def test_a_bad_table_stops_alike_in_every_verb(
    shared_data: Path, file: str, level: str, message: str, verb: str
) -> None:
    table = read_table(shared_data / "faults" / "tables" / file, text=["ID"])
    with pytest.raises(BiomarkersError, match=message) as caught:
        VERBS[verb](table, level)
    assert caught.value.exit_code == 2


def faults(shared_data: Path, name: str) -> Path:
    return shared_data / "faults" / "tables" / name


def read(shared_data: Path, name: str) -> Table:
    return read_table(faults(shared_data, name), text=["ID"])


def time(table: Table, **options: Any) -> Any:
    return ask(table, response=None, **options)


def patients(table: Table, **end: Any) -> Table:
    said = {"patient": "ID", "response": "BOR", "endpoints": {"pfs": end} if end else {}}
    return read_patients(table, columns=ColumnMap.model_validate(said)).table


def test_cnsr_has_to_be_stated_and_is_read_as_stated(shared_data: Path) -> None:
    table = read(shared_data, "t01_cnsr.csv")
    named = {"endpoint": "pfs", "time": "PFS_days", "event": "CNSR"}
    with pytest.raises(BiomarkersError, match="CNSR=0"):
        time(table, **named)
    assert time(table, event_when=0, **named).definition.startswith("21 events in 40")
    assert time(table, event_when={"CNSR": 1}, **named).definition.startswith("19 events in 40")
    end = {"time": "PFS_days", "event": "CNSR", "event_when": [0], "unit": "days"}
    assert patients(table, **end)["pfs_event"].sum() == 21


def test_censoring_codes_of_several_kinds_can_be_stated(shared_data: Path) -> None:
    table = read(shared_data, "t02_cnsr_multi.csv")
    named = {"endpoint": "pfs", "time": "PFS_days", "event": "CNSR", "event_when": 0}
    with pytest.raises(BiomarkersError, match="more than two values"):
        time(table, **named)
    assert time(table, censored_when=[1, 2, 3], **named).definition.startswith("28 events in 40")
    with pytest.raises(BiomarkersError, match="neither event nor censored"):
        time(table, censored_when=[1, 2], **named)
    end = {"time": "PFS_days", "event": "CNSR", "event_when": [0], "censored_when": [1, 2, 3], "unit": "days"}
    assert patients(table, **end)["pfs_event"].sum() == 28


def test_cbioportal_status_is_read_by_its_profile(shared_data: Path) -> None:
    table = read(shared_data, "t03_cbio.csv")
    with pytest.raises(BiomarkersError, match="profile cbioportal"):
        time(table, endpoint="os", time="OS_MONTHS", event="OS_STATUS")
    found = time(table, endpoint="os", columns="cbioportal", patient="ID")
    assert found.definition.startswith("21 events in 40")
    assert "months" in found.settings["reading"]


def test_days_give_the_benefit_of_days(shared_data: Path) -> None:
    table = read(shared_data, "t04_days.csv")
    named = {"endpoint": "clinical_benefit", "event": "PFS"}
    assert "(16 of 37)" in ask(table, time="PFS_days", **named).definition
    nameless = table.rename(columns={"PFS_days": "duration"})
    with pytest.raises(BiomarkersError, match="unit of 'duration' is not stated"):
        ask(nameless, time="duration", **named)
    assert "(16 of 37)" in ask(nameless, time="duration", time_unit="days", **named).definition


def test_true_false_and_blanks_are_events(shared_data: Path) -> None:
    table = read(shared_data, "t05_tf.csv")
    found = time(table, endpoint="pfs", time="PFS_days", event="dead")
    assert found.definition.startswith("21 events in 39")
    end = {"time": "PFS_days", "event": "dead", "event_when": ["TRUE"], "unit": "days"}
    assert patients(table, **end)["pfs_event"].sum() == 21


@pytest.mark.parametrize("file", ["t06_zero.csv", "c_zero.csv"])
def test_time_0_is_counted_by_relate_and_cohort(shared_data: Path, file: str) -> None:
    table = read_table(faults(shared_data, file), text=["ID", "patient"])
    id_, level = ("ID", "CD274") if "ID" in table else ("patient", "made")
    table = table.assign(made=np.arange(len(table), dtype=float))
    found = relate(table, levels=[level], patient=id_, endpoint="os", n_permutations=99)
    flow = found.flow.set_index("step")["n"]
    assert flow["time 0: os"] == (table["os_months"] == 0).sum() > 0
    assert (read_patients(table, columns=ColumnMap(patient=id_)).table["os_months"] == 0).sum() == flow["time 0: os"]


@pytest.mark.parametrize(
    ("file", "level", "words"),
    [
        ("t07_tpscat.csv", "TPS", ["<1%", "1-49%", "≥50%"]),
        ("t08_ic.csv", "IC", ["IC0", "IC1", "IC2", "IC3"]),
        ("t08b_ihc.csv", "IC", ["0", "1+", "2+", "3+"]),
    ],
)
def test_ordered_words_are_related_as_their_ranks(shared_data: Path, file: str, level: str, words: list[str]) -> None:
    table = read(shared_data, file)
    found = ask(table, level=level, cutoffs={level: words[-1]})
    numbers = table.assign(rank=table[level].map({word: float(i) for i, word in enumerate(words)}))
    same = ask(numbers, level="rank", cutoffs={"rank": len(words) - 1})
    shown = ["verdict", "auc", "auc_low90", "p_dependence", "negatives"]
    pd.testing.assert_series_equal(found.verdicts.iloc[0][shown], same.verdicts.iloc[0][shown], check_names=False)
    assert found.settings["orders"] == {level: words}
    assert found.table["method"].str.contains("Cochran-Armitage|Freeman-Halton").sum() == 2
    agreed, by_rank = (concordance(data, one=one, two="CD274", patient="ID").table["value"]
                       for data, one in ((table, level), (numbers, "rank")))  # fmt: skip
    assert agreed[:2].tolist() == by_rank[:2].tolist()
    with pytest.raises(BiomarkersError, match="ordered words"):
        by_change(table, level)


def test_times_and_changes_out_of_range_stop(shared_data: Path) -> None:
    table = read(shared_data, "g09b_bc140.csv")
    with pytest.raises(BiomarkersError, match=r"row 5.*-140"):
        ask(table, endpoint="best_change", best_change="bc")
    with pytest.raises(BiomarkersError, match=r"row 5.*-140"):
        read_patients(table, columns=ColumnMap(patient="ID", response="BOR", best_change="bc"))
    months = read(shared_data, "g07_monthsdays.csv")
    with pytest.raises(BiomarkersError, match=r"says months.*median.*118\.5"):
        time(months, endpoint="pfs")
    with pytest.raises(BiomarkersError, match=r"says months.*median.*118\.5"):
        read_patients(months, columns=ColumnMap(patient="ID", response="BOR"))
    assert time(months, endpoint="pfs", time_unit="days").definition.startswith("21 events")
    negative = read(shared_data, "g04_neg.csv")
    with pytest.raises(BiomarkersError, match=r"row 6.*negative time"):
        time(negative, endpoint="pfs", time="PFS_days", event="PFS")
    with pytest.raises(BiomarkersError, match=r"row 6.*negative time"):
        patients(negative, time="PFS_days", event="PFS", event_when=[1], unit="days")


def test_ne_beside_yes_and_no_is_not_evaluable(shared_data: Path) -> None:
    table = read(shared_data, "t16b_binNE.csv")
    named = {"response": "R", "responders": ["Yes"], "non_responders": ["No"]}
    assert ask(table, **named).definition == "response = Yes 13; no response = No 26; left out: NE 1"
    counted = ask(table, not_evaluable="nonresponder", **named).definition
    assert counted == "response = Yes 13; no response = No 26 + NE 1; nobody left out"


def test_own_words_and_sentinels_are_read_when_they_are_stated(shared_data: Path) -> None:
    table = read(shared_data, "t25_cjk.csv")
    words = {"部分缓解": "PR", "完全缓解": "CR", "稳定": "SD", "进展": "PD"}
    assert ask(table, columns={"words": words}).definition.startswith("response = CR 0 + PR 13")
    coded = read(shared_data, "t21b_sent999.csv")
    stated = {"levels": {"TPS": {"missing": [999]}}}
    assert ask(coded, level="TPS", columns=stated).verdicts["n"].item() == 39 - (coded["TPS"] == 999).sum()


def test_numbers_are_compared_as_numbers_and_sheets_are_named(shared_data: Path, tmp_path: Path) -> None:
    from biomarkers.cli.main import cli

    def run(*words: object) -> Any:
        end = ["--patient", "ID", "--no-figures", "--permutations", "99", "--out", tmp_path / "out"]
        return CliRunner().invoke(cli, ["relate", *map(str, words), *map(str, end)])

    chosen = run(faults(shared_data, "f_cov.csv"), "--level", "TPS", "--response", "BOR", "--where", "coh=1")
    assert chosen.exit_code == 0, chosen.exception
    book = faults(shared_data, "f_2sheet.xlsx")
    stopped = run(book, "--level", "TPS", "--response", "BOR")
    assert "'Data'" in str(stopped.exception)
    assert "--sheet" in str(stopped.exception)
    assert run(book, "--level", "TPS", "--response", "BOR", "--sheet", "Data").exit_code == 0


def test_adrs_words_need_a_map_and_the_profile_has_one(shared_data: Path) -> None:
    table = read_table(faults(shared_data, "adrs_bor.csv"), text=["USUBJID"])
    with pytest.raises(BiomarkersError, match="Write NE"):
        read_patients(table, columns=ColumnMap(patient="USUBJID", response="BOR"))
    words = {"MISSING": "NE", "NON-CR/NON-PD": "SD", "NED": "CR"}
    found = read_patients(table, columns=ColumnMap(patient="USUBJID", response="BOR", words=words)).table["response"]
    assert found.value_counts().to_dict() == {"NE": 299, "CR": 3, "SD": 2, "PD": 1, "PR": 1}
    for word, hint in (("NED", "No evidence of disease"), ("VGPR", "myeloma"), ("pCR", "pathologic")):
        with pytest.raises(BiomarkersError, match=hint):
            read_patients(table.assign(BOR=word), columns=ColumnMap(patient="USUBJID", response="BOR"))


def test_a_visit_that_was_not_fully_measured_gives_no_best_change(shared_data: Path) -> None:
    clinical = pd.DataFrame({"patient": ["A"]})
    found = read_patients(clinical, visits=faults(shared_data, "v_incomplete.csv")).table
    assert found["best_change_percent"].item() == pytest.approx(-57.69, abs=0.01)
    lesions = read_patients(faults(shared_data, "adtr_clin.csv"), lesions=faults(shared_data, "adtr_les.csv")).table
    assert lesions.loc["01-701-1118", "best_change_percent"] == pytest.approx(-57.69, abs=0.01)


def test_matrices_are_read_or_end_the_search(shared_data: Path) -> None:
    def levels(name: str) -> pd.DataFrame:
        return express(faults(shared_data, name)).wide()

    truth = levels("e18_old06.h5ad")["CD274 log2_cpm"].median()
    assert truth == pytest.approx(9.34, abs=0.01)
    assert levels("e24.h5mu")["CD274 log2_cpm"].median() == pytest.approx(truth)
    genes = express(faults(shared_data, "e25_mutload.csv"))
    assert genes.wide()["CD274 log2_cpm"].median() == pytest.approx(truth)
    assert any("cluster, mutation_load" in note for note in genes.warnings)
    assert levels("e05_GSE_series_matrix.txt").shape[0] == 8
    assert levels("efs.csv").shape[0] == 3
    assert express(faults(shared_data, "e33_combat.csv")).scale == "log2"
    for name in ("e36_gdc.rna_seq.augmented_star_gene_counts.tsv", "e36b_gdc.tsv"):
        one = express(faults(shared_data, name))
        assert len(one.wide()) == 1
        assert one.wide()["CD274 log2_tpm"].item() == pytest.approx(np.log2(12.0))
    with pytest.raises(BiomarkersError, match="two columns are CD274: which of them is RNA"):
        express(faults(shared_data, "e38b_abfirst_nofeat.h5ad"))
