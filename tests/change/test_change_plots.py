"""Figures and report of a change hold the pairs, the gate, the conversions and the chain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from biomarkers.change.chain import Component
from biomarkers.change.measure import measure_change
from biomarkers.change.result import Change
from biomarkers.core.errors import DataError, UsageError
from biomarkers.plot.change_chain import plot_chain, plot_conversions
from biomarkers.plot.change_files import save_change_figures
from biomarkers.plot.change_levels import plot_changes, plot_pairs
from biomarkers.report.change import write_change_report

BEFORE, AFTER = [1.0, 3.0, 7.0, 0.2, 15.0, 2.0, 5.0, 4.0], [3.0, 7.0, 15.0, 1.0, 31.0, 5.0, 11.0, np.nan]
WORDS = ["PR", "SD", "PR", "SD", "PD", "SD", "SD", "NE"]


def _found(**options: object) -> Change:
    one = pd.DataFrame({"patient": [f"P{i}" for i in range(8)], "timepoint": "baseline", "<x>": BEFORE, "BOR": WORDS})
    table = pd.concat([one, one.assign(timepoint="on_treatment", **{"<x>": AFTER})], ignore_index=True)
    return measure_change(table, levels=["<x>"], response="BOR", **options)  # type: ignore[arg-type]


def test_pairs_are_joined_and_others_stand_alone() -> None:
    ax = plot_pairs(_found(lloq={"<x>": 0.5}), biomarker="<x>")
    joined = [np.asarray(line.get_ydata()) for line in ax.lines if np.ptp(np.asarray(line.get_xdata())) > 0.9]
    assert len(joined) == 7 + 1, "seven pairs and the line of the stated change"
    np.testing.assert_allclose(joined[0], np.log2([2.0, 4.0]))
    found = _found(lloq={"<x>": 0.5}).table.iloc[0]
    start = np.median(np.log2(np.clip(BEFORE[:7], 0.5, None) + 1))
    np.testing.assert_allclose(joined[7], [start, start + found["hl_change"]], err_msg="the stated change is drawn")
    interval = next(line for line in ax.lines if list(np.asarray(line.get_xdata())) == [1.14, 1.14])
    np.testing.assert_allclose(interval.get_ydata(), [start + found["ci_low"], start + found["ci_high"]])
    hollow = [line for line in ax.lines if str(line.get_markerfacecolor()) == "white"]
    assert len(hollow) == 1
    assert [text.get_text() for text in ax.get_xticklabels()] == ["baseline\nn = 8", "on_treatment\nn = 7"]
    with pytest.raises(UsageError, match="no such biomarker"):
        plot_pairs(_found(), biomarker="y")


def test_changes_are_sorted_and_the_gate_is_drawn() -> None:
    replicates = pd.DataFrame({"sample": np.repeat(np.arange(30), 2), "<x>": np.tile([4.0, 5.0], 30)})
    found = _found(replicates=replicates)
    ax = plot_changes(found, biomarker="<x>")
    gate = float(found.table["gate"].iloc[0])
    heights = [bar.get_height() for bar in ax.patches if bar.get_width() < 0.9]
    assert heights[-7:] == sorted(heights[-7:], reverse=True)
    assert any("technical noise" in text.get_text() for text in ax.get_legend().get_texts())
    band = ax.patches[0].get_extents().transformed(ax.transData.inverted())
    np.testing.assert_allclose([band.y0, band.y1], [-gate, gate])
    assert "technical noise unknown" in plot_changes(_found(), biomarker="<x>").get_xlabel().replace("\n", " ")


def test_conversions_and_chain() -> None:
    found = _found(components=[Component("<x>", 4), Component("<x>", 20, "<")])
    ax = plot_conversions(found)
    shown = sum(bar.get_width() for bar in ax.patches)
    assert shown == 2 * 7, "each component counts its seven patients with both states"
    chain = plot_chain(found)
    assert len(chain.patches) == 7 * 2 * 2
    assert chain.get_yticklabels()[0].get_text() == "P0  PR"
    with pytest.raises(DataError, match="the result has no components"):
        plot_chain(_found())


def test_all_figures_and_a_report_that_escapes(tmp_path: Path) -> None:
    found = _found(components=[Component("<x>", 4)])
    figures = save_change_figures(found, tmp_path / "figures", simulated=True)
    assert [path.name for path in figures] == [
        "01_x_pairs.png",
        "01_x_change_per_patient.png",
        "98_conversions.png",
        "99_chain.png",
    ]
    text = write_change_report(found, tmp_path / "r.html", figures=tmp_path / "figures").read_text()
    assert "<x>" not in text
    assert text.count("data:image/png;base64") == 4


def test_figures_are_of_one_size_and_tables_may_break_their_cells(tmp_path: Path) -> None:
    from PIL import Image

    found = _found(components=[Component("<x>", 4), Component("<x>", 20, "<")])
    figures = save_change_figures(found, tmp_path / "figures")
    sizes = set()
    for path in figures:
        with Image.open(path) as image:
            sizes.add(image.size)
    assert len(sizes) == 1
    text = write_change_report(found, tmp_path / "r.html", figures=tmp_path / "figures").read_text()
    assert text.count('<section class="fitted">') == 3
    assert "hl change" in text
    assert "baseline scaled" not in text, "columns nobody reads do not widen the page; changes.csv has them"


def test_labels_lie_inside_their_figure() -> None:
    for draw in (plot_pairs, plot_changes):
        for options in ({}, {"scale": "percent"}, {"lloq": {"<x>": 2.5}}):
            name = "<x> of stromal CD8+ PD-1+ lymphocytes at the invasive margin, cells/mm2"
            found = _found(**options)
            table, pairs = (frame.replace({"biomarker": {"<x>": name}}) for frame in (found.table, found.pairs))
            scales = {"scale": {name: found.settings["scale"]["<x>"]}}
            found = replace(found, table=table, pairs=pairs, settings={**found.settings, **scales})
            ax = draw(found, biomarker=name)
            figure = ax.get_figure()
            figure.canvas.draw()
            titles = [text for text in figure.findobj(Text) if text.get_text() and "<x>" in text.get_text()]
            assert titles
            labels = [label for label in (ax.xaxis.label, ax.yaxis.label) if label.get_text()]
            for text in (*labels, *titles, *ax.get_legend().get_texts()):
                box = text.get_window_extent()
                assert box.x0 >= 0, text.get_text()
                assert box.y0 >= 0, text.get_text()
                assert box.x1 <= figure.bbox.width + 1, text.get_text()
                assert box.y1 <= figure.bbox.height + 1, text.get_text()


def test_without_a_pair_there_is_no_figure_of_pairs(tmp_path: Path) -> None:
    table = pd.DataFrame({"patient": ["a", "b"], "timepoint": ["baseline", "on_treatment"], "x": [1.0, 2.0]})
    found = measure_change(table, levels=["x"], components=["x=1"])
    names = [path.name for path in save_change_figures(found, tmp_path)]
    assert names == ["98_conversions.png", "99_chain.png"]
