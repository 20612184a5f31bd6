"""Numbers of cell tables as programs of all countries write them, and headers whose characters were broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from biomarkers.core.errors import DataError
from biomarkers.io.cell_tables.build import spelled
from biomarkers.io.cell_tables.number_format import number_format
from biomarkers.io.cell_tables.read import import_cells

RNG = np.random.default_rng(2)
X, Y = RNG.uniform(1000, 3000, 80), RNG.uniform(1000, 3000, 80)
AREA = RNG.uniform(40, 90, 80)


def thousands(mark: str, point: str, digits: int):
    def write(value: float) -> str:
        text = f"{value:,.{digits}f}"
        return text.replace(",", "T").replace(".", point).replace("T", mark)

    return write


def table(path: Path, write, *, separator: str = ",", unit: str = "µm", encoding: str = "utf-8") -> Path:
    quote = '"' if separator == "," else ""
    head = ["Image", "Object ID", f"Centroid X {unit}", f"Centroid Y {unit}", f"Cell: Area {unit}^2", "CD8: Cell: Mean"]
    rows = [separator.join(head)]
    for k, (x, y, area) in enumerate(zip(X, Y, AREA, strict=True)):
        values = [f"{quote}{write(value)}{quote}" for value in (x, y, area, 1234.5 + k)]
        rows.append(separator.join(["a.tif", f"id{k}", *values]))
    path.write_bytes(("\n".join(rows) + "\n").encode(encoding))
    return path


@pytest.mark.parametrize(
    ("mark", "point", "digits", "separator"),
    [(",", ".", 0, ","), (",", ".", 2, ","), (",", ".", 2, "\t"), (".", ",", 2, ";"), (".", ",", 2, "\t"),
     ("", ",", 3, ";"),
     ("'", ".", 2, ","), ("’", ".", 2, ";"), (" ", ",", 2, ";"), ("\u00a0", ",", 1, "\t"),
     ("\u202f", ",", 2, ";"), ("", ".", 2, ",")],
)  # fmt: skip
def test_marks_between_thousands_and_before_decimals(
    tmp_path: Path, mark: str, point: str, digits: int, separator: str
) -> None:
    cells = import_cells(table(tmp_path / "a.csv", thousands(mark, point, digits), separator=separator))
    np.testing.assert_allclose(cells.obs["x_um"], X, atol=0.51 * 10.0**-digits)
    np.testing.assert_allclose(cells.obs["area_um2"], AREA, atol=0.51 * 10.0**-digits)
    np.testing.assert_allclose(cells.X[:, 0], 1234.5 + np.arange(80), atol=0.51)
    assert list(cells.obs["cell_id"][:2]) == ["id0", "id1"]


def test_what_nothing_tells_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Image;Centroid X µm;Centroid Y µm\na;2,023;1,548\na;2,900;1,014\n", encoding="utf-8")
    with pytest.raises(DataError, match="commas may stand before decimals or between thousands"):
        import_cells(path)


def test_both_ways_in_one_table_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Image;Centroid X µm;Centroid Y µm\na;2,5;1.5\na;2.900,5;1,014.5\n", encoding="utf-8")
    with pytest.raises(DataError, match="commas"):
        import_cells(path)


@pytest.mark.parametrize("unit", ["µm", "μm", "um", "Âµm", "Î¼m", "?m", "�m", "(µm)", "[um]", "mm"])
def test_headers_with_broken_micro_signs_and_units_in_brackets(tmp_path: Path, unit: str) -> None:
    factor = 1000 if unit == "mm" else 1
    cells = import_cells(table(tmp_path / "a.csv", lambda value: f"{value:.6f}", unit=unit))
    np.testing.assert_allclose(cells.obs["x_um"], X * factor, rtol=1e-6)


def test_latin_1_and_utf_16_headers(tmp_path: Path) -> None:
    for encoding in ("latin-1", "utf-16"):
        path = table(tmp_path / f"{encoding}.csv", lambda value: f"{value:.4f}", separator="\t", encoding=encoding)
        np.testing.assert_allclose(import_cells(path).obs["x_um"], X, atol=1e-3)


def test_positions_a_thousand_times_too_close_are_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", lambda value: f"{value / 1000 if value > 900 else value:.5f}")
    with pytest.raises(DataError, match="lie on one another"):
        import_cells(path)


def test_several_images_keep_their_cells_apart(tmp_path: Path) -> None:
    one = table(tmp_path / "a.csv", thousands(",", ".", 1))
    two = pd.read_csv(one, dtype=str)
    both = pd.concat([two, two.assign(Image="b.tif")])
    both.to_csv(tmp_path / "both.csv", index=False)
    cells = import_cells(tmp_path / "both.csv")
    assert cells.obs["slide"].value_counts().to_dict() == {"a.tif": 80, "b.tif": 80}


def test_formats_by_hand() -> None:
    assert number_format(["1,234,567"], separator=";") == number_format(["1,234"], separator=",")
    assert number_format(["0,5"], separator="\t").decimal == ","
    assert number_format(["1,234", "0.5"], separator=";").thousands == ","
    assert number_format(["1,234"], separator=";") is None
    assert number_format(["1,5", "1,234,567"], separator=";") is None
    assert spelled("\ufeffCell: Area Âµm^2") == "Cell: Area µm^2"


def test_shared_tables_are_read_alike(shared_data: Path) -> None:
    folder = shared_data / "faults" / "slides"
    whole = import_cells(folder / "qp_int_thousands.csv").obs
    exact = import_cells(folder / "qp_mojibake.tsv").obs
    np.testing.assert_array_equal(whole["x_um"], np.floor(exact["x_um"]))
    np.testing.assert_array_equal(whole["y_um"], np.floor(exact["y_um"]))
