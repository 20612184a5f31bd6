"""Rules over markers select what they say."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biomarkers.cells.phenotype import assign_phenotypes, select_cells
from biomarkers.errors import UsageError


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
        ("PDL1 >= 2", [0, 0, 1, 1]),
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
        ("CD3 CD8", "no such phenotype"),
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
