"""Rules over markers select what they say."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biomarkers.core.errors import DataError, UsageError
from biomarkers.pheno.phenotype import assign_phenotypes, select_cells


def cells(**flags):
    n = len(next(iter(flags.values())))
    obs = pd.DataFrame({f"{name}_positive": values for name, values in flags.items()}, index=[str(i) for i in range(n)])
    return ad.AnnData(np.arange(n, dtype=float)[:, None], obs=obs, var=pd.DataFrame(index=["PD-L1"]))


ALL = cells(CD3=[True, True, False, False], CD8=[True, False, True, False])


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("CD3+", [1, 1, 0, 0]),
        ("CD3-", [0, 0, 1, 1]),
        ("CD3+ CD8+", [1, 0, 0, 0]),
        ("CD3+ and CD8-", [0, 1, 0, 0]),
        ("CD3+ or CD8+", [1, 1, 1, 0]),
        ("not (CD3+ or CD8+)", [0, 0, 0, 1]),
        ("not CD3+ CD8+", [0, 0, 1, 0]),
        ("CD3+ CD8+ or CD3- CD8-", [1, 0, 0, 1]),
        ("!CD3+", [0, 0, 1, 1]),
        ("~CD3+", [0, 0, 1, 1]),
        ("¬CD3+", [0, 0, 1, 1]),
        ("! CD3-", [1, 1, 0, 0]),
        ("NOT CD3+ AND CD8+", [0, 0, 1, 0]),
        ("not not CD3+", [1, 1, 0, 0]),
        ("~(CD3+ OR CD8+)", [0, 0, 0, 1]),
        ("CD8+!CD3+", [0, 0, 1, 0]),
        ('"CD3"+ "CD8"-', [0, 1, 0, 0]),
        ("CD3\u2212 CD8\u207a", [0, 0, 1, 0]),
        ("PDL1 >= 2", [0, 0, 1, 1]),
        ("PD-L1:cell<=.5e0", [1, 0, 0, 0]),
        ("PD-L1 > -1", [1, 1, 1, 1]),
        ("CD8a+", [1, 0, 1, 0]),
    ],
)
def test_rules(rule, expected):
    assert select_cells(ALL, rule).tolist() == [bool(value) for value in expected]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("", "empty"),
        ("CD3+ or", "missing at its end"),
        ("(CD3+", "not closed"),
        ("CD3+ )", "not expected"),
        ("CD33+", "Did you mean 'CD3'"),
        ("PD-L1 > high", "number must follow"),
        ("PD-L2 > 1", "no such marker"),
        ("CD3 CD8", r"marker alone is no rule.*CD3\+ or CD3-"),
        ("T CD3+", "no such phenotype"),
        ("-CD3+", "not before it"),
        ("+CD3", "not before it"),
        ("CD3 +", "not before it"),
        ("CD3++", "cannot stand inside"),
        ("CD3--", "cannot stand inside"),
        ("CD3+CD8+", "cannot stand inside"),
        ("CD3+/CD8+", "cannot stand inside"),
        ("CD3+,CD8+", "cannot stand inside"),
        ("CD3+ & CD8+", "Write 'and'"),
        ("CD3+ || CD8+", "Write 'or'"),
        ("PD-L1 == 3", "not part of the grammar"),
        ("PD-L1 != 3", "not part of the grammar"),
        ("CD3=1", "not part of the grammar"),
        ("PD-L1 > inf", "finite number"),
        ("PD-L1 > nan", "finite number"),
        ("PD-L1 > 1_0", "finite number"),
        ("PD-L1 > 1,5", "decimal point"),
        ("PD-L1+ > 3", "is a call"),
        ("PD-L1:rim > 3", "no compartment"),
        ("CD3+ not", "missing at its end"),
        ('CD3+ "T', "quotes closed"),
        ('""', "not expected"),
        ("not " * 200 + "CD3+", "within each other"),
    ],
)
def test_what_a_rule_cannot_say(rule, message):
    with pytest.raises(UsageError, match=message):
        select_cells(ALL, rule)


def test_phenotypes_by_precedence_with_conflicts_told():
    named = assign_phenotypes(ALL, {"CTL": "CD3+ CD8+", "T": "CD3+", "CD8 any": "CD8+"})
    assert named.obs["phenotype"].tolist() == ["CTL", "T", "CD8 any", "other"]
    conflicts = named.uns["phenotypes"]["conflicts"].set_index(["first", "second"])["n_cells"].to_dict()
    assert conflicts == {("CTL", "T"): 1, ("CTL", "CD8 any"): 1, ("T", "CD8 any"): 1}
    assert "phenotype" not in ALL.obs


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_de_morgan(pairs):
    both = cells(A=[a for a, _ in pairs], B=[b for _, b in pairs])
    assert (select_cells(both, "not (A+ or B+)") == select_cells(both, "A- B-")).all()
    assert (select_cells(both, "A+") | select_cells(both, "A-")).all()


LEVELS = {"cytoplasm_mean": [[0.5], [2.0], [3.0]], "nucleus_mean": [[1.5], [0.0], [0.0]]}


def levels(whole, **layers):
    obs = pd.DataFrame({"CD3_positive": [True] * len(whole)}, index=[f"c{i}" for i in range(len(whole))])
    found = ad.AnnData(np.array(whole, dtype=float)[:, None], obs=obs, var=pd.DataFrame(index=["CD8"]))
    for name, values in layers.items():
        found.layers[name] = np.array(values)
    return found


def test_a_level_that_a_table_does_not_have_is_not_zero():
    halo = levels([np.nan] * 3, **LEVELS)
    with pytest.raises(DataError, match=r"no level 'CD8:cell'; allowed: CD8:nucleus, CD8:cytoplasm"):
        select_cells(halo, "CD8 > 1")
    with pytest.raises(DataError, match="no level 'CD8:membrane'"):
        select_cells(halo, "not CD8a:membrane < 1")
    assert select_cells(halo, "CD8:cytoplasm > 1").tolist() == [False, True, True]
    assert select_cells(halo, "CD8:Nucleus > 1").tolist() == [True, False, False]


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rule", ["CD8 > 1", "CD8 <= 1", "!CD8 > 1"])
def test_a_cell_without_a_finite_level_is_told(odd, rule):
    cells = levels([1.0, odd, 3.0])
    with pytest.raises(DataError, match=rf"1 of 3 cells have no finite level 'CD8:cell'; found '{odd} in cell c1'"):
        select_cells(cells, rule)
    cells.obs["excluded"] = [False, True, False]  # it is in no number
    assert select_cells(cells, "CD8 > 2").tolist()[::2] == [False, True]


@pytest.mark.parametrize(
    "calls", [[True, None, False], [1.0, np.nan, 0.0], ["yes", "no", "no"], pd.array([True, pd.NA, False], "boolean")]
)
def test_a_missing_call_is_no_yes(calls):
    cells = levels([1, 2, 3])
    cells.obs["CD3_positive"] = calls
    with pytest.raises(DataError, match=r"of 3 cells have no call in 'CD3_positive'"):
        select_cells(cells, "CD3+")


@pytest.mark.parametrize("calls", [[1, 0, 1], [1.0, 0.0, 1.0], pd.array([True, False, True], "boolean")])
def test_calls_may_be_numbers(calls):
    cells = levels([1, 2, 3])
    cells.obs["CD3_positive"] = calls
    assert select_cells(cells, "CD3+").tolist() == [True, False, True]


def test_a_call_is_found_by_an_alias_and_two_that_fit_are_refused():
    cells = levels([1, 2, 3]).copy()
    cells.obs["PDL1_positive"] = [True, False, False]
    assert select_cells(cells, "CD274+").tolist() == [True, False, False]
    cells.obs["B7H1_positive"] = True
    assert select_cells(cells, "PDL1+").sum() == 1
    with pytest.raises(UsageError, match=r"several markers could be 'CD274'"):
        select_cells(cells, "CD274+")


@pytest.mark.parametrize("name", ["CD8+", "CD8", "CD8-", "CD8A+", "CD3+ CD8+", "CD3+ !CD8+", "CD8 > 4"])
def test_a_phenotype_has_a_name_of_its_own(name):
    with pytest.raises(UsageError, match="two things would have one name"):
        assign_phenotypes(ALL, {name: "CD8+ CD3-"})


def test_a_phenotype_may_be_named_by_its_own_rule():
    named = assign_phenotypes(ALL, {"CD3+ CD8-": "!CD8a+ CD3+", "CD8+ T cell": "CD8+"})
    assert named.obs["phenotype"].tolist() == ["CD8+ T cell", "CD3+ CD8-", "CD8+ T cell", "other"]
