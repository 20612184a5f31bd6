"""A run's own files, changed after it: one clear error each, and nothing is written elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from biomarkers.core.errors import BiomarkersError, DataError, UsageError
from biomarkers.core.finished import difference, numbers, read_output, read_record
from biomarkers.review.gallery import write_review
from biomarkers.run.merge import merge_runs
from biomarkers.run.read_cells import cells_of_runs
from biomarkers.run.verify import verify_run

RECORD: dict[str, Any] = {
    "verb": "score",
    "settings": {"assay": "22c3"},
    "versions": {"biomarkers": "1"},
    "started_utc": "2026-01-01T00:00:00+00:00",
    "inputs": [{"name": "a.png", "sha256": "0"}],
    "slides": {"a": {"assay": {"name": "22c3"}, "marker": "PD-L1"}},
    "outputs": {"slides.csv": "0", "cells/a.parquet": "0"},
}
READERS: list[Callable[[Path], object]] = [
    read_record,
    lambda folder: merge_runs([folder], out=folder / "merged"),
    lambda folder: verify_run(folder, sample=0),
    lambda folder: cells_of_runs([folder]),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run.json").write_text(json.dumps(RECORD))
    return tmp_path


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("", "cannot be read"),
        ("[]", "no record of a run"),
        ("null", "no record of a run"),
        ('{"verb": 1}', "no record of a run"),
        ('{"verb": "relate"}', "did not score slides"),
        *((json.dumps({**RECORD, name: 7}), f"lacks its '{name}'") for name in RECORD if name != "verb"),
        *((json.dumps({k: v for k, v in RECORD.items() if k != n}), f"lacks its '{n}'") for n in ("slides", "outputs")),
        (json.dumps({**RECORD, "outputs": {"cells/../../x": "0"}}), "names a file elsewhere"),
        (json.dumps({**RECORD, "outputs": {"/etc/passwd": "0"}}), "names a file elsewhere"),
        (json.dumps({**RECORD, "inputs": ["a.png"]}), "inputs without names"),
    ],
)
def test_a_record_that_was_changed(folder: Path, read: Callable[[Path], object], text: str, message: str) -> None:
    (folder / "run.json").write_text(text)
    with pytest.raises(BiomarkersError, match=message) as caught:
        read(folder)
    assert str(caught.value.where) == str(folder / "run.json")
    assert not (folder / "merged").exists()


def test_a_record_that_is_whole(folder: Path) -> None:
    assert read_record(folder) == RECORD


def test_outputs_that_differ(folder: Path) -> None:
    (folder / "slides.csv").write_text("a")
    assert difference(folder, "slides.csv", "0") == "slides.csv: was changed after the run"
    assert difference(folder, "cells/a.parquet", "0") == "cells/a.parquet: is gone"
    with pytest.raises(DataError, match="an output of the run is gone") as caught:
        merge_runs([folder], out=folder / "merged")
    assert str(caught.value.where) == str(folder / "cells/a.parquet")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as a table"),
        ("slide,value\na,1,2\nb,1,2,3\n", "cannot be read as a table"),
        ("slide,score\na,1\n", "no column 'value'"),
    ],
)
def test_a_table_that_was_changed(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_output(tmp_path / "scores.csv", columns=("slide", "value"))


def test_numbers_and_the_row_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    with pytest.raises(UsageError, match="no such file"):
        read_output(path, columns=("slide",))
    path.write_text("slide,value\n007,1.5\nb,\nc,NaN\n")
    table = read_output(path, columns=("slide", "value"))
    assert table["slide"].tolist() == ["007", "b", "c"]
    found = numbers(table, "value", where=path)
    assert found.tolist()[0] == 1.5
    assert found.isna().tolist() == [False, True, True]
    path.write_text("slide,value\na,1.5\nb,high\n")
    with pytest.raises(DataError, match=r"row 3.*'high'"):
        numbers(read_output(path, columns=("slide", "value")), "value", where=path)


def test_a_page_of_tables_that_were_changed(tmp_path: Path) -> None:
    (tmp_path / "slides.csv").write_text("slide,status,reason,n_cells\na,ok,,5\n")
    good = "slide,region,marker,score,value,status\na,all,PD-L1,tps,5,ok\n"
    (tmp_path / "scores.csv").write_text(good)
    (tmp_path / "sensitivity").mkdir()
    curve = tmp_path / "sensitivity" / "a.csv"
    for text in ("", "score,value\ntps,1\n", "score,dab_od,value,in_force\ntps,x,1,true\n"):
        curve.write_text(text)
        with pytest.raises(DataError):
            write_review(tmp_path)
    same = "score,dab_od,value,in_force\n" + "tps,0.1,1,TRUE\n" + "tps,0.1,2,FALSE\n" * 3
    for text in ("score,dab_od,value,in_force\n", same):  # nothing to draw a curve of
        curve.write_text(text)
        assert "<polyline" not in write_review(tmp_path).read_text()
    curve.write_text("score,dab_od,value,in_force\ntps,0.1,3,FALSE\ntps,0.2,2,TRUE\ntps,0.3,,FALSE\ntps,0.4,1,FALSE\n")
    assert "<polyline" in write_review(tmp_path).read_text()
    (tmp_path / "scores.csv").write_text(good.replace(",5,", ",high,"))
    with pytest.raises(DataError, match="row 2"):
        write_review(tmp_path)
