"""A panel's rules are read when it is read, and no name of it means two things."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from biomarkers.cli.main import run
from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.panel import load_panel
from biomarkers.io.cell_tables.read import import_cells
from biomarkers.pheno.gates import apply_gates

HEAD = """
name = "p"
[channels.DAPI]
marker = "DAPI"
role = "nuclei"
[channels.CD8]
marker = "CD8"
[channels.CK]
marker = "CK"
[channels.PD-L1]
marker = "PD-L1"
"""
SCORE = '[[scores]]\nname = "{name}"\nkind = "density"\ncells = \'{rule}\'\n'


def written(tmp_path, text):
    path = tmp_path / "panel.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[phenotypes]\n"CD8+" = "CD8+ CK-"', r"phenotypes: a phenotype has the name of a marker.*found 'CD8\+'"),
        ('[phenotypes]\nPDL1 = "PD-L1+ CK-"', "name of a marker"),
        ('[phenotypes]\n"panCK-" = "CK-"', "name of a marker"),
        ('[phenotypes]\n"CD8+ CK-" = "CD8+"', "reads as another rule"),
        ('[phenotypes]\n\'a "T" cell\' = "CD8+"', "quotes"),
        ('[phenotypes]\nCTL = "-CD8+"', r"CTL: cannot read the rule: a sign.*'-CD8\+'"),
        ('[classes]\ntumor = "CK+ & CD8-"', "tumor: cannot read the rule: '&'"),
        (SCORE.format(name="a", rule="CD8+ ("), "a: cannot read the rule"),
        (SCORE.format(name="a", rule="CD8+") * 2, r"two scores have one name: \['a'\]"),
        ('[channels.B7H1]\nmarker = "CD274"', r"same marker: \['CD274', 'PD-L1'\]"),
    ],
)
def test_what_a_panel_cannot_say(tmp_path, text, message):
    with pytest.raises(UsageError, match=message) as told:
        load_panel(written(tmp_path, text))
    assert "Value error" not in str(told.value)
    assert "{" not in str(told.value)


def test_what_it_can(tmp_path):
    text = '[phenotypes]\n"T cell" = "CD8+"\n"CD8+ CK-" = "CK- CD8a+"\n' + SCORE.format(name="t", rule="T cell")
    assert list(load_panel(written(tmp_path, text)).phenotypes) == ["T cell", "CD8+ CK-"]


def scored(tmp_path, rule, *, of=None):
    """Score six cells, two of them CD8+ CK-, one CD8+ CK+, one CK+."""
    table = pd.DataFrame({"CellID": range(1, 7), "CD8": [9, 9, 9, 1, 1, 1], "CK": [1, 1, 9, 9, 1, 1], "PD-L1": 1})
    table = table.assign(X_centroid=range(6), Y_centroid=0, Area=50)
    table.to_csv(tmp_path / "s.csv", index=False)
    pd.DataFrame({"slide": "*", "marker": ["CD8", "CK", "PD-L1"], "compartment": "cell", "gate": 5}).to_csv(
        tmp_path / "g.csv", index=False
    )
    text = SCORE.format(name="x", rule=rule) + (f"kind = 'ratio'\nof = '{of}'" if of else "")
    words = ["cells", tmp_path / "s.csv", "--panel", written(tmp_path, text), "--gates", tmp_path / "g.csv"]
    out = tmp_path / "out"
    code = run([str(word) for word in [*words, "--mpp", "0.5", "--area-mm2", "1", "--out", out]])
    return code, pd.read_csv(out / "scores.csv").set_index("region").loc["all", "value"] if code == 0 else None


@pytest.mark.parametrize(
    ("rule", "n"), [("CD8+", 3), ("!CD8+", 3), ("~CK+", 4), ("¬(CD8+ or CK+)", 2), ("CD8+ not CK+", 2), ("CK > 5", 2)]
)
def test_signs_for_not_mean_not(tmp_path, rule, n):
    assert scored(tmp_path, rule) == (0, n)


@pytest.mark.parametrize("rule", ["-CD8+", "–CD8+", "CD8+ CD33+", "CD8 > nan"])
def test_what_is_not_in_the_grammar_is_refused(tmp_path, capsys, rule):
    assert scored(tmp_path, rule) == (2, None)
    assert rule.split()[-1] in capsys.readouterr().err
    assert not (tmp_path / "out" / "scores.csv").exists()


def test_rows_of_the_faults(tmp_path, shared_data, capsys):
    faults = shared_data / "faults" / "panels"
    more = ["--mpp", "0.5", "--area-mm2", "1", "--out", str(tmp_path / "out")]
    same = [str(faults / "same.csv"), "--panel", str(faults / "p1.toml"), "--gates", str(faults / "g.csv")]
    assert run(["cells", *same, *more]) == 2
    assert "name of a marker" in capsys.readouterr().err
    (tmp_path / "p.toml").write_text((faults / "p1.toml").read_text().replace('"CD8+" =', "CTL ="))
    text = (tmp_path / "p.toml").read_text().replace('"CK+" =', "tumor =")
    (tmp_path / "p.toml").write_text(text)
    assert run(["cells", same[0], "--panel", str(tmp_path / "p.toml"), *same[3:], *more]) == 0
    values = pd.read_csv(tmp_path / "out" / "scores.csv").set_index("marker")["value"]
    assert values[["tumor", "CTL", "CD8+", "CK+"]].tolist() == [200, 100, 200, 200]

    halo = str(shared_data / "images" / "spatialtime" / "cells_TMA1_3_B.csv.gz")
    panel = faults / "panel_halo_cell_level.toml"
    assert run(["cells", halo, "--panel", str(panel), *more]) == 2
    assert "no level 'CD8:cell'; allowed: CD8:nucleus, CD8:cytoplasm" in capsys.readouterr().err
    (tmp_path / "h.toml").write_text(panel.read_text().replace('"CD8 > 1"', '"CD8:cytoplasm > 1"'))
    assert run(["cells", halo, "--panel", str(tmp_path / "h.toml"), *more]) == 0
    rows = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert rows.set_index(["marker", "region"]).loc[("CD8 > 1 density", "all"), "value"] == 5


@pytest.mark.parametrize("odd", ["inf", "-Inf", "1e999"])
def test_an_infinite_level_is_no_positive(tmp_path, odd):
    pd.DataFrame({"CellID": [1, 2], "CD8": ["3", odd], "X_centroid": 1, "Y_centroid": 1, "Area": 50}).to_csv(
        tmp_path / "s.csv", index=False
    )
    with pytest.raises(DataError, match=rf"row 3: column 'CD8' holds (an infinite number|text) where.*'{odd}'"):
        import_cells(tmp_path / "s.csv", mpp=0.5)
    cells = ad.AnnData(np.array([[1.0], [9.0], [np.inf], [np.nan], [-np.inf]]), var=pd.DataFrame(index=["CD8"]))
    gates = pd.DataFrame(
        {"slide": ["*"], "marker": "CD8", "compartment": "cell", "gate": 5.0, "gate_2": 7, "gate_3": 8}
    )
    called = apply_gates(cells, gates)
    assert called.obs["CD8_positive"].tolist() == [False, True, False, False, False]
    assert called.obs["CD8_bin"].tolist() == [0, 3, 0, 0, 0]
