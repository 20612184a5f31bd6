"""Text matrices, whichever way round and however exported."""

import gzip

import numpy as np
import pytest

from biomarkers.core.errors import DataError, UsageError
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
    assert any("CD274 stands there 2 times: added up" in warning for warning in express(path).warnings)


def test_names_that_a_spreadsheet_turned_into_dates_are_reported(tmp_path):
    found = express(write(tmp_path, HEAD + ROWS + "1-Mar,4,4\n"))
    assert any("1-Mar" in warning and "dates" in warning for warning in found.warnings)


@pytest.mark.parametrize("cell", ["#DIV/0!", "<LOD", "1,234.5x", "1,234", "inf", "#N/A"])
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


def test_a_comma_that_may_be_a_thousand_is_not_guessed(tmp_path):
    with pytest.raises(DataError, match="may be a decimal comma or part of a thousand"):
        express(write(tmp_path, "gene;s1;s2\nCD274;1,234;7,500\nPDCD1;2;3\n"))


def test_a_point_among_decimal_commas_is_not_guessed(tmp_path):
    rows = "".join(f"SIMG{i};1,5;2,5\n" for i in range(300))
    with pytest.raises(DataError, match="gene CD274, sample s2: a cell is not a number"):
        express(write(tmp_path, f"gene;s1;s2\n{rows}CD274;1,5;2.5\n"))


def test_windows_text_and_utf_16(tmp_path):
    text = "gene\tprobe \u00b5\n"
    body = (HEAD + ROWS).replace(",", "\t").replace("s2", "s\u00e9").replace("gene\tprobe", text)
    for encoding in ("cp1252", "utf-16"):
        (tmp_path / "m.tsv").write_bytes(body.encode(encoding))
        assert level(tmp_path / "m.tsv") == pytest.approx({"s1": EXPECTED["s1"], "s\u00e9": EXPECTED["s2"]})


def test_binary_is_no_text(tmp_path):
    (tmp_path / "m.csv").write_bytes(bytes(range(256)) * 20)
    with pytest.raises(DataError, match=r"no text but binary|cannot be read as text"):
        express(tmp_path / "m.csv")


def test_r_writes_no_name_above_the_names(tmp_path):
    assert level(write(tmp_path, '"s1","s2"\n"CD274",10,30\n"PDCD1",5,0\n"ACTB",85,70\n')) == pytest.approx(EXPECTED)


def test_large_tables_are_read_in_stretches(tmp_path, monkeypatch):
    monkeypatch.setattr("biomarkers.expression.text._STRETCH", 4)
    rows = "".join(f"SIMG{i},{i},{2 * i}\n" for i in range(50))
    rng = np.random.default_rng(0)
    text = HEAD + rows + "CD274,10,30\n"
    totals = np.array([sum(range(50)) + 10, 2 * sum(range(50)) + 30])
    expected = np.log2(np.array([10, 30]) / totals * 1e6 + 1)
    assert list(level(write(tmp_path, text)).values()) == pytest.approx(expected.tolist())
    names = ["CD274", *(f"SIMG{i}" for i in range(9))]
    counts = rng.poisson(20, (13, 10))
    body = "".join(f"s{i}," + ",".join(map(str, row)) + "\n" for i, row in enumerate(counts))
    found = level(write(tmp_path, "sample," + ",".join(names) + "\n" + body, "t.csv"))
    expected = np.log2(counts[:, 0] / counts.sum(axis=1) * 1e6 + 1)
    assert list(found.values()) == pytest.approx(expected.tolist())


@pytest.mark.parametrize("edges", ["4\t2", "3\t3"])
def test_a_gct_that_is_not_as_large_as_it_says(tmp_path, edges):
    text = f"#1.2\n{edges}\nName\tDescription\ts1\ts2\n" + ROWS.replace(",", "\tx\t", 1).replace(",", "\t")
    text = text.replace("PDCD1\t", "PDCD1\tx\t").replace("ACTB\t", "ACTB\tx\t")
    with pytest.raises(DataError, match="not as large as it says"):
        express(write(tmp_path, text, "m.gct"))


def test_gct_1_3_with_rows_about_the_samples(tmp_path):
    text = "#1.3\n3\t2\t2\t1\nid\tpr_gene\tkind\ts1\ts2\nsite\tna\tna\tA\tB\n"
    text += "CD274\tx\ty\t10\t30\nPDCD1\tx\ty\t5\t0\nACTB\tx\ty\t85\t70\n"
    assert level(write(tmp_path, text, "m.gct")) == pytest.approx(EXPECTED)


def test_rows_that_count_no_gene_are_not_part_of_the_total(tmp_path):
    extra = "__no_feature,5000,100\nN_unmapped,400,7\nERCC-00002,900,900\n"
    assert level(write(tmp_path, HEAD + ROWS + extra)) == pytest.approx(EXPECTED)


def test_names_of_bam_files_are_shortened_and_said(tmp_path):
    text = "Geneid\tChr\tStart\tEnd\tStrand\tLength\tout/s1.sorted.bam\tout/s2.sorted.bam\n"
    path = write(tmp_path, text + ROWS.replace(",", "\t9\t1\t2\t+\t999\t", 1).split("\n")[0].replace(",", "\t") + "\n"
                 + "ACTB\t7\t1\t2\t+\t999\t90\t70\n", "m.txt")  # fmt: skip
    found = express(path)
    assert set(found.levels["sample"]) == {"s1", "s2"}
    assert any("shortened from file names" in text for text in found.warnings)


def test_columns_beside_the_genes_are_annotations_when_named(tmp_path):
    text = "sample,patient,age,CD274,PDCD1,ACTB\ns1,P1,61,10,5,85\ns2,P2,47,30,0,70\n"
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=r"found 'patient, age'\. Say so: --annotation patient --annotation age"):
        express(path)
    found = express(path, annotations=["patient", "age"])
    rows = found.levels.query("marker == 'CD274'").set_index("sample")
    assert rows["value"].to_dict() == pytest.approx(EXPECTED)
    assert rows["patient"].to_dict() == {"s1": "P1", "s2": "P2"}
    with pytest.raises(UsageError, match="Did you mean 'age'"):
        express(path, annotations=["ages"])


def test_two_samples_of_one_name(tmp_path):
    with pytest.raises(DataError, match="two columns have one name"):
        express(write(tmp_path, "gene,s1,s1\n" + ROWS))
    with pytest.raises(DataError, match="two samples have one name"):
        express(write(tmp_path, "sample,CD274,PDCD1,ACTB\ns1,1,2,3\ns1,4,5,6\n"))


def test_a_gene_under_two_names_is_read_once_and_the_other_is_said(tmp_path):
    found = express(write(tmp_path, HEAD + ROWS + "PD-L1,900,900\n"), scale="linear")
    assert any("CD274 was read as CD274; PD-L1 stands there too" in text for text in found.warnings)
    assert found.levels.query("marker == 'CD274'")["value"].tolist() == pytest.approx(np.log2([11, 31]).tolist())


def test_probe_sets_of_a_microarray_are_recognised(tmp_path):
    rows = "".join(f"{200000 + i}_at,5.1,6.2\n" for i in range(50))
    with pytest.raises(DataError, match="probe sets: collapse them to genes first"):
        express(write(tmp_path, HEAD + rows))


@pytest.mark.parametrize("first", [0, 1])
def test_numbers_for_names_are_not_taken_for_ncbi_genes(tmp_path, first):
    rows = "".join(f"{i},{i % 7},{i % 5}\n" for i in range(first, 5200))
    with pytest.raises(DataError, match="no gene names, only positions"):
        express(write(tmp_path, HEAD + rows))
