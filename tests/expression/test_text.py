"""Text matrices, whichever way round and however exported."""

import gzip

import numpy as np
import pytest

from biomarkers.errors import DataError
from biomarkers.expression import express

HEAD = "gene,s1,s2\n"
ROWS = "CD274,10,30\nPDCD1,5,0\nACTB,85,70\n"


def level(path, gene="CD274", **options):
    found = express(path, **options)
    return found.levels[found.levels["marker"] == gene].set_index("sample")["value"].to_dict()


def write(tmp_path, text, name="m.csv"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


EXPECTED = {"s1": np.log2(1e5 + 1), "s2": np.log2(3e5 + 1)}


def test_genes_in_rows(tmp_path):
    assert level(write(tmp_path, HEAD + ROWS)) == pytest.approx(EXPECTED)


def test_genes_in_columns(tmp_path):
    text = "sample,CD274,PDCD1,ACTB\ns1,10,5,85\ns2,30,0,70\n"
    assert level(write(tmp_path, text)) == pytest.approx(EXPECTED)


def test_tabs_gz_and_a_byte_order_mark(tmp_path):
    text = "\ufeff" + (HEAD + ROWS).replace(",", "\t")
    (tmp_path / "m.tsv.gz").write_bytes(gzip.compress(text.encode()))
    assert level(tmp_path / "m.tsv.gz") == pytest.approx(EXPECTED)


def test_semicolons_and_decimal_commas(tmp_path):
    text = "gene;s1;s2\nCD274;2,5;3,5\nPDCD1;1,0;0,5\n"
    assert level(write(tmp_path, text), scale="log2") == {"s1": 2.5, "s2": 3.5}


def test_gct(tmp_path):
    text = "#1.2\n3\t2\nName\tDescription\ts1\ts2\n" + ROWS.replace("CD274,", "CD274,x,").replace(
        "PDCD1,", "PDCD1,x,"
    ).replace("ACTB,", "ACTB,x,").replace(",", "\t")
    assert level(write(tmp_path, text, "m.gct")) == pytest.approx(EXPECTED)


def test_feature_counts(tmp_path):
    text = "# Program:featureCounts\nGeneid\tChr\tStart\tEnd\tStrand\tLength\ts1\ts2\n"
    text += "ENSG00000120217\t9\t1\t2\t+\t999\t10\t30\nENSG00000075624\t7\t1\t2\t+\t999\t90\t70\n"
    assert level(write(tmp_path, text, "m.txt")) == pytest.approx(EXPECTED)


def test_a_gene_in_two_rows_is_summed_and_said(tmp_path):
    path = write(tmp_path, HEAD + "CD274,4,20\nCD274,6,10\nACTB,90,70\n")
    assert level(path) == pytest.approx(EXPECTED)
    assert any("CD274 stands in 2 rows" in warning for warning in express(path).warnings)


def test_names_that_a_spreadsheet_turned_into_dates_are_reported(tmp_path):
    found = express(write(tmp_path, HEAD + ROWS + "1-Mar,4,4\n"))
    assert any("1-Mar" in warning and "dates" in warning for warning in found.warnings)


@pytest.mark.parametrize("cell", ["#DIV/0!", "<LOD", "1,234.5x"])
def test_text_in_a_cell_is_named_by_gene_and_sample(tmp_path, cell):
    quoted = f'"{cell}"'
    with pytest.raises(DataError, match=r"gene PDCD1, sample s2: a cell is not a number"):
        express(write(tmp_path, HEAD + f"CD274,10,30\nPDCD1,5,{quoted}\n"))


def test_a_missing_value_is_not_filled(tmp_path):
    with pytest.raises(DataError, match=r"gene PDCD1, sample s2: a value is missing"):
        express(write(tmp_path, HEAD + "CD274,10,30\nPDCD1,5,\n"))


def test_negative_counts_are_refused_when_declared(tmp_path):
    path = write(tmp_path, HEAD + "CD274,-10,30\nPDCD1,5,900\n")
    with pytest.raises(DataError, match="below 0"):
        express(path, scale="counts")


@pytest.mark.parametrize("text", ["", "CD274\n1\n", "<html></html>"])
def test_what_is_no_matrix(tmp_path, text):
    with pytest.raises(DataError, match="no matrix"):
        express(write(tmp_path, text))


def test_one_samples_quantification_under_a_strange_header_is_not_a_matrix(tmp_path):
    text = "gene\tTPM\tNumReads\nENSG00000120217\t1\t2\n"
    with pytest.raises(DataError, match="one sample's quantification"):
        express(write(tmp_path, text, "quant.txt"))
