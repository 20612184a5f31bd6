"""What must not change a level or a verdict does not: order, renaming, swapped responders, rising transforms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from biomarkers.expression import express
from biomarkers.relate import Relation, relate

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
GENES = [f"G{number}" for number in range(40)] + ["CD274", "PDCD1", "CD8A", "GAPDH", "ACTB"]


def _levels(path: Path, counts: pd.DataFrame) -> pd.DataFrame:
    made = ad.AnnData(
        counts.to_numpy(np.float32), obs=pd.DataFrame(index=counts.index), var=pd.DataFrame(index=counts.columns)
    )
    made.write_h5ad(path)
    found = express(path).levels
    return found.sort_values(["marker", "sample"])[["marker", "sample", "value"]].reset_index(drop=True)


@pytest.fixture(scope="module")
def counts() -> pd.DataFrame:
    values = np.random.default_rng(0).poisson(30, (12, len(GENES)))
    return pd.DataFrame(values, index=[f"s{number:02d}" for number in range(12)], columns=GENES)


def test_the_order_of_genes_and_samples_changes_no_level(tmp_path: Path, counts: pd.DataFrame) -> None:
    rng = np.random.default_rng(1)
    mixed = counts.iloc[rng.permutation(len(counts)), rng.permutation(len(GENES))]
    pd.testing.assert_frame_equal(_levels(tmp_path / "a.h5ad", counts), _levels(tmp_path / "b.h5ad", mixed))


def _trial(seed: int = 0, *, n: int = 40, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    yes = rng.permutation(n) < n // 3
    level = np.round(rng.gamma(2.0, 10.0, n) + shift * yes, 1)
    return pd.DataFrame({"id": [f"p{i}" for i in range(n)], "level": level, "bor": np.where(yes, "PR", "PD")})


def _ask(table: pd.DataFrame) -> pd.Series:
    found: Relation = relate(table, levels=["level"], response="bor", patient="id", n_permutations=199)
    return found.verdicts.iloc[0]


@pytest.fixture(scope="module")
def plain() -> pd.Series:
    return _ask(_trial(shift=6.0))


RISING: dict[str, Callable[[pd.Series], pd.Series]] = {
    "logarithm": lambda level: np.log2(level + 1),
    "square": lambda level: level**2,
    "other unit": lambda level: level * 0.001 + 7,
}


@pytest.mark.parametrize("rising", RISING.values(), ids=RISING)
def test_any_rising_transform_gives_the_same_auc_and_p(
    plain: pd.Series, rising: Callable[[pd.Series], pd.Series]
) -> None:
    table = _trial(shift=6.0)
    again = _ask(table.assign(level=rising(table["level"])))
    for name in ("auc", "auc_low95", "auc_high95", "p_dependence", "verdict"):
        assert again[name] == plain[name], name


def test_swapped_responders_mirror_the_auc(plain: pd.Series) -> None:
    table = _trial(shift=6.0)
    swapped = _ask(table.assign(bor=table["bor"].map({"PR": "PD", "PD": "PR"})))
    assert swapped["auc"] == pytest.approx(1 - plain["auc"], abs=1e-12)
    assert swapped["p_dependence"] == pytest.approx(plain["p_dependence"], rel=1e-9)


def test_the_order_and_names_of_patients_change_nothing(plain: pd.Series) -> None:
    table = _trial(shift=6.0).sample(frac=1, random_state=3)
    again = _ask(table.assign(id=[f"x{i}" for i in range(len(table))]))
    for name in ("auc", "p_dependence", "verdict"):
        assert again[name] == plain[name], name


@pytest.mark.slow
def test_permuted_labels_give_uniform_p() -> None:
    found = []
    for seed in range(60):
        table = _trial(seed)
        mixed = np.random.default_rng(1000 + seed).permutation(table["bor"].to_numpy())
        found.append(float(_ask(table.assign(bor=mixed))["p_dependence"]))
    p = np.sort(found)
    # the largest distance from the diagonal, against the 0.1% bound of Kolmogorov for 60 values
    assert np.abs(p - (np.arange(60) + 0.5) / 60).max() < 1.95 / np.sqrt(60)
