"""Tables with the habits of Excel: read with a note, or refused with the row named."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biomarkers.cohort.tables import numeric_column, read_table, require_columns, table_notes
from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.files import write_csv

PLAIN = "ID,BOR,level\nP1,PR,1.5\nP2,SD,2\nP3,,\n"


def _write(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _book(folder: Path, rows: list[list[object]], name: str = "table.xlsx") -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(folder / name)
    return folder / name


def test_plain_csv_keeps_file_rows_as_index(tmp_path: Path) -> None:
    table = read_table(_write(tmp_path, PLAIN))
    assert list(table.columns) == ["ID", "BOR", "level"]
    assert table.index.name == "row"
    assert list(table.index) == [2, 3, 4]
    assert table["level"].tolist()[:2] == [1.5, 2.0]
    assert np.isnan(table["level"].iloc[2])
    assert pd.isna(table["BOR"].iloc[2])
    assert table_notes(table) == []


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (b"\xef\xbb\xbf" + PLAIN.encode(), ""),
        (PLAIN.replace(",", ";").replace(".", ",").encode(), "decimal commas were read as points in: level"),
        (
            PLAIN.replace("1.5", '"1,5"').replace("2.0", '"2,0"').encode(),
            "decimal commas were read as points in: level",
        ),
        (PLAIN.replace(",", "\t").encode(), "separated by tabs"),
        (b"sep=;\n" + PLAIN.replace(",", ";").encode(), "separated by semicolons"),
        (b"A trial of something\n\n" + PLAIN.encode(), "row 1 was taken for a title"),
        (b"# simulated\n" + PLAIN.encode(), "row 1 is a comment"),
        (PLAIN.encode() + b",,\n,,\n", "2 blank rows at the end"),
        (PLAIN.replace("\nP2", "\n,,\nP2").encode(), "1 blank rows between"),
        (PLAIN.encode("utf-16"), "UTF-16"),
        (PLAIN.replace("\n", "\r\n").encode(), ""),
        (PLAIN.replace("ID", "  ID ").encode(), ""),
        (PLAIN.replace("\n", ",\n").encode(), ""),
    ],
)
def test_habits_give_the_same_table(tmp_path: Path, content: bytes, note: str) -> None:
    table = read_table(_write(tmp_path, content))
    plain = read_table(_write(tmp_path, PLAIN, "plain.csv"))
    pd.testing.assert_frame_equal(table.reset_index(drop=True), plain.reset_index(drop=True))
    assert note in " | ".join(table_notes(table))
    if note == "":
        assert table_notes(table) == []


def test_windows_text_is_read_with_a_note(tmp_path: Path) -> None:
    table = read_table(_write(tmp_path, "Zentrum,n\nMünchen,1\n".encode("cp1252")))
    assert table["Zentrum"].iloc[0] == "München"
    assert "Windows-1252" in table_notes(table)[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("ID,Levels,,Outcome\n,CD274,PDCD1,BOR\nP1,1,2,PR\nP2,3,4,SD\n", "rows 1 and 2 look like two header rows"),
        ("ID,CD274,OS\n,log2,months\nP1,1,2\nP2,3,4\n", "rows 1 and 2 look like two header rows"),
        ("ID,level,level\nP1,1,2\n", "two columns of one name"),
        ("ID,level\nP1,1,2\n", "cells without a column name, the first in data row 1"),
        ("ID,a,b\nP1,1,2\nP2,1,2\n\n* two patients withdrew,,\n", "row 5: a single cell below the table"),
        ("ID,a,b\nP1,1,2\nP2,1,2\n* two patients withdrew,,\n", "row 4: a single cell below the table"),
        ("ID,a,b\nP1,1,2\nP2,1,2\nNE means not evaluable,,\n", "row 4: a single cell below the table"),
        ("ID,a,b\nP1,1,2\nP2,1,2\nMean,,2\n", "row 4: the last row looks like a summary of the others; found 'Mean'"),
        ("ID,level\nP1,=A2+1\n", "row 2: column 'level' holds a formula"),
        ("ID,level\n", "a header but no rows"),
        ("\n\n", "the file is empty"),
    ],
)
def test_refused_with_the_row(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(_write(tmp_path, content))


def test_first_row_with_text_in_its_only_number_is_data_not_a_header(tmp_path: Path) -> None:
    table = read_table(_write(tmp_path, "ID,BOR,level\nP1,PR,unclear\nP2,PR,3\nP3,SD,4\n"))
    with pytest.raises(DataError, match=r"t\.csv row 2: column 'level' must hold numbers; found 'unclear'"):
        numeric_column(table, "level", where="t.csv")


@pytest.mark.parametrize(
    ("cell", "hint"),
    [("<LOD", "censored"), ("#DIV/0!", "formula failed"), ("1,5", "decimal comma"), ("50%", "percent sign")],
)
def test_text_among_numbers_names_rows_and_value(tmp_path: Path, cell: str, hint: str) -> None:
    table = read_table(_write(tmp_path, f'ID,level\nP1,2.5\nP2,"{cell}"\nP3,4\n'))
    with pytest.raises(DataError, match="row 3") as caught:
        numeric_column(table, "level", where="t.csv")
    assert cell in str(caught.value)
    assert hint in str(caught.value)


def test_number_columns() -> None:
    table = pd.DataFrame({"a": ["1", None, "2.5"], "b": [True, False, True], "c": [1, 2, np.inf]})
    assert numeric_column(table, "a", where="t").tolist()[::2] == [1.0, 2.5]
    assert numeric_column(table, "b", where="t").tolist() == [1.0, 0.0, 1.0]
    with pytest.raises(DataError, match="infinite"):
        numeric_column(table, "c", where="t")


def test_absent_column_suggests_the_nearest() -> None:
    table = pd.DataFrame({"Best.Overall": ["PR"], "CD274": [1.0]})
    with pytest.raises(UsageError, match=r"x\.csv: no column 'CD247'.*Did you mean 'CD274'"):
        require_columns(table, ["CD247"], where="x.csv")


def test_identifiers_keep_zeros_and_digits(tmp_path: Path) -> None:
    table = read_table(_write(tmp_path, "ID,long,n\n007,1234567890123456789,1\n012,2234567890123456789,2\n"))
    assert table["ID"].tolist() == ["007", "012"]
    assert table["long"].iloc[0] == "1234567890123456789"
    assert table["n"].dtype.kind == "i"
    assert read_table(_write(tmp_path, "ID,n\n1,1\n2,2\n"), text=["ID"])["ID"].tolist() == ["1", "2"]


def test_a_thousand_is_not_a_decimal(tmp_path: Path) -> None:
    table = read_table(_write(tmp_path, "ID;level\nP1;1,234\nP2;2,500\n"))
    with pytest.raises(DataError, match="thousands"):
        numeric_column(table, "level", where="t")
    mixed = read_table(_write(tmp_path, "ID;a;b\nP1;1,5;1.5\n"))
    with pytest.raises(DataError, match="decimal comma"):
        numeric_column(mixed, "a", where="t")


def test_workbook_dates_numbers_and_text(tmp_path: Path) -> None:
    rows = [
        ["ID", "day", "level", "mixed"],
        ["P1", datetime(2020, 1, 31), 1.5, 1],
        ["P2", None, "2,5", "3a"],
        [None] * 4,
    ]
    table = read_table(_book(tmp_path, rows))
    assert table["day"].dtype.kind == "M"
    assert table["level"].tolist() == [1.5, 2.5]
    assert table["mixed"].tolist() == ["1", "3a"]


def test_workbook_cells_in_per_cent_are_told(tmp_path: Path) -> None:
    path = _book(tmp_path, [["ID", "TPS"], ["P1", 0.35], ["P2", 0.5]])
    book = openpyxl.load_workbook(path)
    for cell in ("B2", "B3"):
        book.active[cell].number_format = "0%"
    book.save(path)
    table = read_table(path)
    assert table["TPS"].tolist() == [0.35, 0.5]
    assert "column B is shown in per cent in 2 cells and read as it is stored: 35% is 0.35" in table_notes(table)[0]


def test_a_patient_with_nothing_but_a_name_is_no_footnote(tmp_path: Path) -> None:
    table = read_table(_write(tmp_path, "ID,a,b\nP 1,1,2\nP 2,,\nP 3,1,2\nMary Ann,,\n"))
    assert len(table) == 4


def test_workbook_formula_without_result_names_the_cell(tmp_path: Path) -> None:
    path = _book(tmp_path, [["ID", "sum"], ["P1", "=1+1"]])
    with pytest.raises(DataError, match=r"row 2, cell B2: a formula without a stored result; found '=1\+1'"):
        read_table(path)


def test_workbook_with_several_sheets(tmp_path: Path) -> None:
    path = _book(tmp_path, [["ID", "n"], ["P1", 1]])
    book = openpyxl.load_workbook(path)
    book.create_sheet("raw").append(["ID", "m"])
    book["raw"].append(["P9", 3])
    book.save(path)
    assert "not read: 'raw'" in table_notes(read_table(path))[0]
    assert read_table(path, sheet="raw")["m"].tolist() == [3]
    with pytest.raises(UsageError, match="no such sheet"):
        read_table(path, sheet="nope")


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("t.xls", b"x", UsageError),
        ("t.xlsx", b"not a zip", DataError),
        ("t.parquet", b"nope", DataError),
        ("t.csv", b"PK\x03\x04rest", DataError),
        ("t.csv", b"\x89PNG\x00\x00\x00", DataError),
    ],
)
def test_not_a_table(tmp_path: Path, name: str, content: bytes, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        read_table(_write(tmp_path, content, name))
    with pytest.raises(UsageError, match="no such table"):
        read_table(tmp_path / "absent.csv")
    with pytest.raises(UsageError, match="a folder, not a table"):
        read_table(tmp_path)


def test_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"ID": ["a", "b"], "level": [1.0, 2.0]})
    frame.to_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet").reset_index(drop=True), frame)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.text("ab=+-@'1 ", min_size=1, max_size=5), st.floats(allow_nan=False, allow_infinity=False)),
        min_size=2,
        max_size=6,
    )
)
def test_own_tables_come_back_as_they_were_written(rows: list[tuple[str, float]]) -> None:
    import tempfile

    frame = pd.DataFrame({"name": [f"{text}x" for text, _ in rows], "value": [value for _, value in rows]})
    frame = frame[~frame["name"].str.startswith(("'=", "'+", "'-", "'@"))]
    if frame.empty:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        write_csv(frame, path)
        back = read_table(path)
    assert back["name"].tolist() == frame["name"].tolist()
    np.testing.assert_array_equal(back["value"].to_numpy(), frame["value"].to_numpy())
