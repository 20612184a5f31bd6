"""Agreement of readers: equal to published values and to definitions written out, and honest about what is left out."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from biomarkers.cli.main import run
from biomarkers.core.errors import DataError, UsageError
from biomarkers.review.agree import AGREEMENT_COLUMNS, agree
from biomarkers.review.readings import SOFTWARE, Reading, append_reading, read_readings

SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
# the data set `anxiety` of R's irr 0.84: 20 subjects, 3 raters
ANXIETY = list(
    zip(
        [3, 3, 3, 4, 5, 5, 2, 3, 5, 2, 2, 6, 1, 5, 2, 2, 1, 2, 4, 3],
        [3, 6, 4, 6, 2, 4, 2, 4, 3, 3, 2, 3, 3, 3, 2, 2, 1, 3, 3, 4],
        [2, 1, 4, 4, 3, 2, 1, 6, 1, 1, 1, 2, 3, 3, 1, 1, 3, 3, 2, 2],
        strict=True,
    )
)


def _wide(values):
    table = pd.DataFrame(np.asarray(values, dtype=float), columns=list("ABCD")[: len(values[0])])
    return table.assign(slide=[f"s{i}" for i in range(len(table))])


def _value(found, statistic, one, two, cutoff=None):
    rows = found.table[(found.table["statistic"] == statistic) & (found.table["reader_1"] == one)]
    rows = rows[(rows["reader_2"] == two) & (rows["cutoff"].isna() if cutoff is None else rows["cutoff"].eq(cutoff))]
    assert len(rows) == 1
    return rows.iloc[0]


@pytest.mark.parametrize(
    ("values", "icc", "low", "high", "digits"),
    [(SHROUT_FLEISS, 0.29, 0.019, 0.761, 3), (ANXIETY, 0.198, -0.039, 0.494, 3)],
    ids=["Shrout and Fleiss 1979", "irr::icc(anxiety, 'twoway', 'agreement')"],
)
def test_icc_of_all_readers_is_the_published_one(values, icc, low, high, digits):
    row = _value(agree(_wide(values), score="tps"), "icc", "all readers", "")
    assert round(row["value"], len(str(icc)) - 2) == icc
    assert (round(row["ci_low"], digits), round(row["ci_high"], digits)) == (low, high)


def _simulated(seed):
    rng = np.random.default_rng(seed)
    truth = rng.beta(0.5, 1.5, 30) * 100
    return np.clip(np.column_stack([truth + rng.normal(bias, 6, 30) for bias in (0, 3, -2)]), 0, 100)


SETS = {
    "shrout": SHROUT_FLEISS, "anxiety": ANXIETY, **{f"simulated {seed}": _simulated(seed) for seed in (1, 2, 3)},
}  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_every_pair_equals_the_definitions_written_out(name):
    values = np.asarray(SETS[name], dtype=float)
    cuts = [2.5, 5.5]
    found = agree(_wide(values.tolist()), score="x", cutoffs={"x": cuts})
    for i, j in itertools.combinations(range(values.shape[1]), 2):
        one, two = "ABCD"[i], "ABCD"[j]
        x, y, n = values[:, i], values[:, j], len(values)
        pair = values[:, [i, j]]
        rows = 2 * sum((pair.mean(1) - pair.mean()) ** 2) / (n - 1)
        columns = n * sum((pair.mean(0) - pair.mean()) ** 2)
        error = sum((x - y - (x - y).mean()) ** 2) / 2 / (n - 1)
        icc = _value(found, "icc", one, two)
        assert icc["value"] == pytest.approx((rows - error) / (rows + error + 2 / n * (columns - error)))
        ccc = _value(found, "ccc", one, two)
        sxy = sum((x - x.mean()) * (y - y.mean())) / n
        assert ccc["value"] == pytest.approx(2 * sxy / (x.var() + y.var() + (x.mean() - y.mean()) ** 2))
        d = x - y
        for which, sign in (("bias", 0), ("loa_low", -1), ("loa_high", 1)):
            row = _value(found, which, one, two)
            assert row["value"] == pytest.approx(d.mean() + sign * stats.norm.ppf(0.975) * d.std(ddof=1))
        bias = _value(found, "bias", one, two)
        assert bias["ci_high"] - bias["ci_low"] == pytest.approx(
            2 * stats.t.ppf(0.975, n - 1) * d.std(ddof=1) / math.sqrt(n)
        )
        a, b = np.digitize(x, cuts), np.digitize(y, cuts)
        if len({*a, *b}) > 1:
            apart = np.mean((a - b) ** 2) / np.mean([(p - q) ** 2 for p in a for q in b])
            assert _value(found, "kappa_quadratic", one, two)["value"] == pytest.approx(1 - apart)
            apart = np.mean(np.abs(a - b)) / np.mean([abs(p - q) for p in a for q in b])
            assert _value(found, "kappa_linear", one, two)["value"] == pytest.approx(1 - apart)
        same = _value(found, "agreement_percent", one, two, 5.5)
        assert same["value"] == pytest.approx(100 * np.mean((x >= 5.5) == (y >= 5.5)))
        positive = _value(found, "positive_agreement_percent", one, two, 5.5)
        assert positive["n"] == sum(y >= 5.5)


def test_a_run_brings_the_software_and_only_blinded_first_readings_count(tmp_path):
    rows = [("all", "a", 10.0, "ok"), ("all", "b", 60.0, "ok"), ("all", "c", 0.5, "ok"), ("tumor", "a", 99.0, "ok")]
    scores = [
        {"slide": s, "region": r, "marker": "PD-L1", "score": "tps", "value": v, "status": t} for r, s, v, t in rows
    ]
    pd.DataFrame(scores).to_csv(tmp_path / "scores.csv", index=False)
    given = [("a", 12, True), ("b", 55, True), ("c", 2, True), ("a", 20, True), ("b", 60, False)]
    for slide, value, blinded in given:
        append_reading(tmp_path, Reading(slide, "PD-L1", "tps", value, "A. Reader", blinded))
    found = agree(tmp_path)
    row = _value(found, "bias", "A. Reader", SOFTWARE)
    assert row["n"] == 3
    assert row["value"] == pytest.approx((2 - 5 + 1.5) / 3)
    assert _value(found, "agreement_percent", "A. Reader", SOFTWARE, 1.0)["value"] == pytest.approx(200 / 3)
    assert any("1 readings made after" in note for note in found.notes)
    repeat = found.table[found.table["statistic"] == "repeatability"].iloc[0]
    assert repeat["value"] == pytest.approx(stats.norm.ppf(0.975) * math.sqrt(2) * math.sqrt((12 - 20) ** 2 / 2))
    assert list(found.table.columns) == list(AGREEMENT_COLUMNS)
    assert read_readings(tmp_path)["value"].tolist() == [12, 55, 2, 20, 60]


def test_what_cannot_be_computed_says_why_and_a_reader_of_one_category_has_no_interval():
    table = pd.DataFrame({"slide": ["a", "b"], "A": [60, 70], "B": [60, 0]})
    found = agree(table, score="tps", cutoffs={"tps": [50]})
    undefined = found.table[found.table["status"] == "not_evaluable"]
    assert {"ccc", "bias"} <= set(undefined["statistic"])
    assert (undefined["reason"].str.len() > 0).all()
    kappa = _value(found, "kappa", "A", "B", 50)
    assert (kappa["value"], kappa["ci_low"], kappa["ci_high"]) == (0, -1, 1)
    assert "one category" in kappa["reason"]


@pytest.mark.parametrize(
    ("table", "score", "error"),
    [
        ({"slide": ["a"], "A": [1.0], "B": [2.0]}, None, "which score"),
        ({"slide": ["a"], "A": [1.0]}, "tps", "fewer than two readers"),
        ({"slide": ["a", ""], "A": [1, 2], "B": [1, 2]}, "tps", "empty slide"),
        ({"slide": ["a"], "reader": ["A"], "score": ["tps"]}, None, "no column 'value'"),
        ({"slide": ["a"], "reader": ["A"], "score": ["tps"], "value": ["high"]}, None, "text where a number"),
        ({"image": ["a"], "A": [1]}, "tps", "no column 'slide'"),
        ({"slide": ["a"], "reader": ["A"], "score": ["tps"], "value": [1]}, None, "no two readers"),
    ],
)
def test_tables_that_cannot_be_compared_are_refused(table, score, error):
    with pytest.raises((DataError, UsageError), match=error):
        agree(pd.DataFrame(table), score=score)


def test_two_sources_with_one_reading_are_refused():
    table = pd.DataFrame({"slide": ["a", "b"], "A": [1, 2], "B": [1, 2]})
    with pytest.raises(DataError, match="two sources"):
        agree([table, table], score="tps")


@pytest.mark.parametrize(
    ("reading", "error"),
    [
        (("a", "PD-L1", "tps", 101, "R", True), "out of range"),
        (("a", "PD-L1", "tps", math.nan, "R", True), "out of range"),
        (("a", "PD-L1", "tps", 5, " ", True), "needs a reader"),
        (("a", "PD-L1", "tps", 5, "Software", True), "the software's"),
        (("a", "PD-L1", "tps", 5, "R\nS", True), "needs a reader"),
    ],
)
def test_readings_out_of_range_are_refused_and_nothing_is_written(tmp_path, reading, error):
    with pytest.raises(UsageError, match=error):
        append_reading(tmp_path, Reading(*reading))
    assert not list(tmp_path.iterdir())


def test_many_readers_at_once_lose_no_line(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    readings = [Reading(f"s{i}", "PD-L1", "tps", i % 100, f"R{i % 4}", True) for i in range(200)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda one: append_reading(tmp_path, one), readings))
    kept = read_readings(tmp_path)
    assert sorted(kept["slide"]) == sorted(one.slide for one in readings)


def test_the_command_writes_table_page_and_figures(tmp_path, capsys):
    path = tmp_path / "r.csv"
    _wide(_simulated(5).tolist()).to_csv(path, index=False)
    out = tmp_path / "out"
    assert run(["agree", str(path), "--score", "tps", "--cutoff", "tps=1,50", "--out", str(out)]) == 0
    assert "ICC" in capsys.readouterr().out
    assert set(pd.read_csv(out / "agreement.csv")["cutoff"].dropna()) == {1, 50}
    assert (out / "report.html").read_text().count("data:image/png") == 6
    assert (out / "run.json").is_file()
    assert run(["agree", str(path), "--score", "tps", "--cutoff", "tps", "--out", str(out)]) == 2
