"""One matrix of counts in every dress it comes in: the levels are right, or there is one clear refusal."""

import gzip

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import coo_matrix, csc_matrix, csr_matrix

from biomarkers.core.errors import BiomarkersError, DataError
from biomarkers.expression import express
from biomarkers.expression.frames import read_frame
from biomarkers.expression.genes import GENES

WANTED = ["CD274", "PDCD1", "PDCD1LG2", "CD8A"]
NAMES = [f"S{i:02d}" for i in range(1, 9)]


@pytest.fixture(scope="module")
def counts():
    """(samples, genes), genes in no order."""
    rng = np.random.default_rng(3)
    genes = [str(name) for name in rng.permutation([*GENES, *(f"SIMG{i}" for i in range(220))])]
    values = rng.negative_binomial(1, 0.01, (len(NAMES), len(genes))) + (rng.random((len(NAMES), len(genes))) < 0.5)
    return pd.DataFrame(values, index=NAMES, columns=genes)


@pytest.fixture(scope="module")
def cpm(counts):
    return counts.div(counts.sum(axis=1), axis=0) * 1e6


def check(path, expected, *, tolerance=1e-9, **options):
    """Hold all wanted genes of all samples to what they should be."""
    found = express(path, **options)
    rows = found.levels[found.levels["marker"].isin(WANTED)]
    wide = rows.pivot_table(index="sample", columns="marker", values="value")
    assert set(wide.columns) == set(WANTED)
    assert list(wide.index) == sorted(expected.index)
    np.testing.assert_allclose(wide[WANTED], expected.loc[wide.index, WANTED], atol=tolerance)
    return found


def text(folder, frame, name="m.csv", **options):
    frame.to_csv(folder / name, **options)
    return folder / name


SEPARATED = {
    "comma": ("m.csv", {}), "tab": ("m.tsv", {"sep": "\t"}), "semicolon": ("m.csv", {"sep": ";"}),
    "pipe": ("m.txt", {"sep": "|"}), "blank, as R writes": ("m.txt", {"sep": " "}),
    "tabs named csv": ("m.csv", {"sep": "\t"}),
    "quoted": ("m.csv", {"quoting": 1}), "byte-order mark": ("m.csv", {"encoding": "utf-8-sig"}),
    "UTF-16": ("m.csv", {"encoding": "utf-16"}), "Windows": ("m.csv", {"lineterminator": "\r\n"}),
    "old Mac": ("m.csv", {"lineterminator": "\r"}), "gz": ("m.csv.gz", {}),
    "GZ": ("m.tsv.GZ", {"compression": "gzip", "sep": "\t"}),
    "packed under a plain name": ("m.csv", {"compression": "gzip"}),
    "plain under a packed name": ("m.csv.gz", {"compression": None}),
}  # fmt: skip


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("how", SEPARATED)
def test_text_of_any_make(tmp_path, counts, cpm, how, turned):
    name, options = SEPARATED[how]
    path = text(tmp_path, counts if turned else counts.T, name, **options)
    assert check(path, np.log2(cpm + 1)).scale == "counts"


def _ensembl(name, version=""):
    return GENES[name][1] + version if name in GENES else f"ENSG9{int(name[4:]):010d}{version}"


def _entrez(name):
    return GENES[name][2] if name in GENES else str(900_000 + int(name[4:]))


RENAMED = {
    "lower case": str.lower, "blanks around": lambda g: f" {g} ", "Ensembl": _ensembl,
    "Ensembl with version": lambda g: _ensembl(g, ".17"), "NCBI": _entrez, "NCBI as float": lambda g: f"{_entrez(g)}.0",
    "NCBI as R names it": lambda g: f"X{_entrez(g)}", "TCGA": lambda g: f"{g}|{_entrez(g)}",
    "RSEM": lambda g: f"{_ensembl(g, '.4')}_{g}", "DepMap": lambda g: f"{g} ({_entrez(g)})",
    "R": lambda g: g.replace("-", "."),
    "protein": {"CD274": "PD-L1", "PDCD1": "PD-1", "CD8A": "CD8", "PDCD1LG2": "PD-L2"}.get,
    "previous": {"CD274": "PDCD1LG1", "PDCD1": "SLEB2", "PDCD1LG2": "PDCD1L2", "CD8A": "LEU2"}.get,
}  # fmt: skip


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("how", RENAMED)
def test_genes_by_any_name(tmp_path, counts, cpm, how, turned):
    named = counts.rename(columns=lambda gene: RENAMED[how](gene) or gene)
    found = check(text(tmp_path, named if turned else named.T), np.log2(cpm + 1))
    assert not any("not evaluable" in note or " without " in note for note in found.warnings)
    assert found.genes["rule"].ne("").all()


def test_a_column_that_describes_genes_names_them(tmp_path, counts, cpm):
    table = counts.T.rename(index=lambda gene: _ensembl(gene).replace("ENSG", "ENSGX"))
    table.insert(0, "gene_name", counts.columns)
    found = check(text(tmp_path, table.rename_axis("gene_id")), np.log2(cpm + 1))
    assert "by the column 'gene_name'" in found.genes["rule"].iloc[0]


def test_the_description_of_a_gct_names_genes(tmp_path, counts, cpm):
    rows = ["\t".join([f"ENSGX{i}.1", gene, *map(str, counts[gene])]) for i, gene in enumerate(counts.columns)]
    head = ["#1.2", f"{len(rows)}\t{len(NAMES)}", "\t".join(["Name", "Description", *NAMES])]
    (tmp_path / "m.gct").write_text("\n".join(head + rows) + "\n")
    check(tmp_path / "m.gct", np.log2(cpm + 1))
    (tmp_path / "m.gct").write_text("\n".join(head[:2] + [line + "\t" for line in head[2:] + rows]) + "\n")
    check(tmp_path / "m.gct", np.log2(cpm + 1))  # a separator too many


@pytest.mark.parametrize("turned", [False, True])
def test_a_first_column_that_numbers_the_rows(tmp_path, counts, cpm, turned):
    table = (counts if turned else counts.T).rename_axis("name").reset_index()
    found = check(text(tmp_path, table), np.log2(cpm + 1))
    assert any("numbers the rows" in note for note in found.warnings)


def test_excel_adds_a_line_and_separators(tmp_path, counts, cpm):
    body = counts.T.to_csv(sep=";").replace("\n", ";\n")
    (tmp_path / "m.csv").write_text(f"sep=;\n{body}")
    check(tmp_path / "m.csv", np.log2(cpm + 1))


@pytest.mark.parametrize(("separator", "quoting"), [(";", 0), ("\t", 0), (",", 1)])
def test_decimal_commas(tmp_path, cpm, separator, quoting):
    table = cpm.T.map(lambda value: f"{value:.6f}".replace(".", ","))
    found = check(text(tmp_path, table, sep=separator, quoting=quoting), np.log2(cpm + 1), tolerance=1e-4)
    assert found.scale == "tpm"


@pytest.mark.parametrize(("mark", "separator"), [(",", "\t"), (",", ";"), (".", ";"), (".", "\t")])
def test_separators_of_thousands_are_not_guessed(tmp_path, counts, mark, separator):
    table = (counts.T * 37).map(lambda value: f"{value:,}".replace(",", mark))
    with pytest.raises(DataError, match=r"gene \S+, sample S\d\d: a (comma|point) may be a decimal"):
        express(text(tmp_path, table, sep=separator))


@pytest.mark.parametrize(
    ("scale", "log"),
    [("log2", lambda x: np.log2(x + 1)), ("log1p", np.log1p), ("log10", lambda x: np.log10(x + 1))],
)
@pytest.mark.parametrize("samples", [1, 8])
@pytest.mark.parametrize("kind", ["csv", "csr", "csc", "dense", "mtx"])
def test_the_base_of_logarithms_is_found(tmp_path, cpm, scale, log, samples, kind):
    logs = log(cpm.iloc[:samples])
    if kind == "csv":
        path = text(tmp_path, logs.T)
    elif kind == "mtx":
        path = mtx(tmp_path / "x", logs)
    else:
        if kind == "csc":
            return  # columns do not tell what rows sum to; the base is said to be unknown
        matrix = {"csr": csr_matrix, "dense": np.asarray}[kind](logs.to_numpy())
        path = tmp_path / "m.h5ad"
        ad.AnnData(matrix, obs=pd.DataFrame(index=logs.index), var=pd.DataFrame(index=logs.columns)).write_h5ad(path)
    assert check(path, np.log2(cpm.iloc[:samples] + 1), tolerance=1e-6).scale == scale


def mtx(folder, frame, *, prefix="", packed=False):
    folder.mkdir()
    cells = coo_matrix(frame.T.to_numpy())
    lines = [f"{a + 1} {b + 1} {float(v)!r}" for a, b, v in zip(cells.row, cells.col, cells.data, strict=True)]
    head = ["%%MatrixMarket matrix coordinate real general", "%", f"{frame.shape[1]} {frame.shape[0]} {len(lines)}"]
    files = {
        "matrix.mtx": head + lines, "barcodes.tsv": list(frame.index),
        "features.tsv": [f"{gene}\t{gene}\tGene Expression" for gene in frame.columns],
    }  # fmt: skip
    for name, rows in files.items():
        body = ("\n".join(rows) + "\n").encode()
        end = ".gz" if packed else ""
        (folder / f"{prefix}{name}{end}").write_bytes(gzip.compress(body) if packed else body)
    return folder


def test_a_10x_folder_whose_files_begin_with_the_sample(tmp_path, counts, cpm):
    folder = mtx(tmp_path / "x", counts, prefix="GSM1_P1_", packed=True)
    check(folder, np.log2(cpm + 1))
    (folder / "GSM2_P2_matrix.mtx.gz").write_bytes(b"")
    with pytest.raises(DataError, match="holds several matrices"):
        express(folder)


def test_a_packed_matrix_that_is_cut_short(tmp_path, counts):
    path = mtx(tmp_path / "x", counts, packed=True) / "matrix.mtx.gz"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match="the matrix cannot be read"):
        express(path.parent)


@pytest.mark.parametrize(
    ("scale", "transform", "rule"),
    [
        ("counts", lambda x: x, "added up"),
        ("log2", lambda x: np.log2(x + 1), "added up with their logarithms undone"),
        ("log1p", np.log1p, "added up with their logarithms undone"),
        ("zscore", lambda x: (x - x.mean()) / x.std(), "averaged"),
    ],
)
def test_a_gene_that_stands_twice_is_joined_as_its_numbers_allow(tmp_path, counts, scale, transform, rule):
    single = counts.rename(columns={"SIMG1": "CD274"})
    twice = single.T.groupby(level=0).sum().T
    found = express(text(tmp_path, transform(single.astype(float)).T if scale != "counts" else single.T), scale=scale)
    assert any(f"CD274 stands there 2 times: {rule}" in note for note in found.warnings)
    value = found.levels.query("marker == 'CD274'").set_index("sample")["value"]
    if rule == "averaged":
        expected = transform(single.astype(float))["CD274"].mean(axis=1)
    elif scale == "counts":
        expected = np.log2(twice["CD274"] / twice.sum(axis=1) * 1e6 + 1)
    else:
        expected = np.log2(twice["CD274"] + 1)
    np.testing.assert_allclose(value, expected.loc[value.index], atol=1e-9)


@pytest.mark.parametrize("name", ["Total", "sum", "no_feature", "__ambiguous", "N_unmapped"])
def test_rows_of_sums_are_left_out_and_said(tmp_path, counts, cpm, name):
    table = pd.concat([counts.T, counts.sum(axis=1).to_frame(name).T])
    found = check(text(tmp_path, table), np.log2(cpm + 1))
    assert any(f"left out: {name}" in note for note in found.warnings)


@pytest.mark.parametrize(
    ("column", "values"),
    [("age", range(40, 48)), ("Response", ["PR", "SD"] * 4), ("patient_id", range(8)), ("OS_months", [1.5] * 8)],
)
def test_columns_between_genes_that_are_no_genes_are_not_summed_up(tmp_path, counts, cpm, column, values):
    table = counts.copy()
    table.insert(0, column, list(values))
    with pytest.raises(DataError, match=f"no genes, it seems; found '{column}'. Say so: --annotation {column}"):
        express(text(tmp_path, table))
    check(tmp_path / "m.csv", np.log2(cpm + 1), annotations=[column])


def test_a_table_without_names_of_samples_is_refused(tmp_path, counts):
    path = text(tmp_path, counts.iloc[0], "S01.counts.txt", sep="\t", header=False)
    with pytest.raises(DataError, match="the first line holds numbers where names"):
        express(path)


def test_a_cell_too_many_is_refused(tmp_path):
    (tmp_path / "m.csv").write_text("gene,S1,S2\nCD274,1,2\nPDCD1,1,2,3\nCD8A,1,2\n")
    with pytest.raises(DataError, match="its rows cannot be read"):
        express(tmp_path / "m.csv")


@pytest.mark.parametrize("value", [-5, -0.5])
def test_a_value_below_0_is_named(tmp_path, counts, value):
    table = counts.T.clip(upper=20).astype(float)
    table.loc["PDCD1", "S03"] = value
    if value == -5:  # small counts, which z-scores are not
        with pytest.raises(DataError, match="gene PDCD1, sample S03: counts below 0"):
            express(text(tmp_path, table))
    with pytest.raises(DataError, match="gene PDCD1, sample S03: values below 0 cannot be tpm"):
        express(text(tmp_path, table), scale="tpm")


@pytest.mark.parametrize("kind", [np.asarray, csr_matrix, csc_matrix])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_missing_value_is_named_by_gene_and_sample(tmp_path, counts, kind, value):
    values = counts.to_numpy(dtype=np.float32, copy=True)
    values[2, counts.columns.get_loc("CD4")] = value
    made = ad.AnnData(kind(values), obs=pd.DataFrame(index=NAMES), var=pd.DataFrame(index=counts.columns))
    made.write_h5ad(tmp_path / "m.h5ad")
    with pytest.raises(DataError, match="gene CD4, sample S03: a value is missing or infinite"):
        express(tmp_path / "m.h5ad")


def test_only_zeros_and_no_samples(tmp_path, counts):
    with pytest.raises(DataError, match="all values of the matrix are 0"):
        express(text(tmp_path, counts.T * 0))
    with pytest.raises(DataError, match="no samples"):
        express(ad.AnnData(np.zeros((0, 3)), var=pd.DataFrame(index=WANTED[:3])))


@pytest.mark.parametrize("column", ["gene_symbols", "feature_name", "gene_short_name", "Symbol"])
def test_positions_for_names_with_symbols_beside_them(tmp_path, counts, cpm, column):
    var = pd.DataFrame({column: counts.columns}, index=[str(i) for i in range(counts.shape[1])])
    ad.AnnData(counts.to_numpy(), obs=pd.DataFrame(index=NAMES), var=var).write_h5ad(tmp_path / "m.h5ad")
    found = check(tmp_path / "m.h5ad", np.log2(cpm + 1))
    assert any(f"genes are named by the column '{column}'" in note for note in found.warnings)
    check(
        tmp_path / "m.h5ad", express_tmm(counts), normalise="tmm", tolerance=1e-6
    )  # the whole matrix has the names too


def express_tmm(counts):
    rows = express(ad.AnnData(counts.astype(float)), normalise="tmm").levels
    return rows[rows["marker"].isin(WANTED)].pivot_table(index="sample", columns="marker", values="value")


def test_a_note_of_log1p_that_the_values_contradict_is_not_believed(counts, cpm):
    small = (counts // 40).clip(lower=0)
    data = ad.AnnData(csr_matrix(small.to_numpy(dtype=np.float32)), obs=pd.DataFrame(index=NAMES))
    data.var_names = counts.columns
    data.uns["log1p"] = {"base": None}
    found = express(data)
    assert found.scale == "counts"
    assert any("the file says log1p, but all values are whole numbers" in note for note in found.warnings)
    scaled = (np.log1p(cpm) - np.log1p(cpm).mean()) / np.log1p(cpm).std()
    data.X = scaled.fillna(0).to_numpy()
    data.raw = ad.AnnData(counts.astype(float))
    found = express(data)
    assert found.scale == "zscore"
    assert any("the file also has raw" in note for note in found.warnings)


def test_a_gene_that_only_raw_holds_is_pointed_to(tmp_path, counts, cpm):
    data = ad.AnnData(counts.astype(float))
    data.raw = data.copy()
    data[:, [gene for gene in counts if gene != "CD274"]].copy().write_h5ad(tmp_path / "m.h5ad")
    assert any("CD274 not in X but in raw: --layer raw" in note for note in express(tmp_path / "m.h5ad").warnings)
    check(tmp_path / "m.h5ad", np.log2(cpm + 1), layer="raw")


@pytest.mark.parametrize("kind", [np.asarray, csr_matrix, csc_matrix])
def test_an_anndata_on_disk(tmp_path, counts, cpm, kind):
    made = ad.AnnData(kind(counts.to_numpy()), obs=pd.DataFrame(index=NAMES), var=pd.DataFrame(index=counts.columns))
    made.write_h5ad(tmp_path / "m.h5ad")
    backed = ad.read_h5ad(tmp_path / "m.h5ad", backed="r")
    try:
        check(backed, np.log2(cpm + 1))
        check(backed, express_tmm(counts), normalise="tmm", tolerance=1e-6)
    finally:
        backed.file.close()


def test_genes_in_obs_are_told(counts):
    with pytest.raises(DataError, match=r"Genes stand in the rows \(obs\)"):
        express(ad.AnnData(counts.T.astype(float)))


def test_parquet_with_the_names_in_the_last_column(tmp_path, counts, cpm):
    counts.T.rename_axis("name").reset_index().iloc[:, ::-1].to_parquet(tmp_path / "m.parquet", index=False)
    check(tmp_path / "m.parquet", np.log2(cpm + 1))


@pytest.mark.parametrize(("name", "inside"), [("quant.genes.sf.gz", True), ("{}.quant.genes.sf", False)])
def test_salmon_packed_or_flat(tmp_path, cpm, name, inside):
    for sample in NAMES:
        folder = tmp_path / "q" / sample if inside else tmp_path / "q"
        folder.mkdir(parents=True, exist_ok=True)
        table = pd.DataFrame({"Name": cpm.columns, "Length": 9, "EffectiveLength": 9.0, "TPM": cpm.loc[sample].values})
        table.assign(NumReads=1.0).to_csv(folder / name.format(sample), sep="\t", index=False)
    check(tmp_path / "q", np.log2(cpm + 1))
    (tmp_path / "q" / "S99").mkdir()
    if inside:
        assert any("1 folders hold no quantification: S99" in note for note in express(tmp_path / "q").warnings)


def test_any_broken_hdf5_ends_in_a_message(tmp_path, counts):
    made = ad.AnnData(csr_matrix(counts.to_numpy(dtype=np.float32)), var=pd.DataFrame(index=counts.columns))
    made.write_h5ad(tmp_path / "m.h5ad", compression="gzip")
    body, rng = (tmp_path / "m.h5ad").read_bytes(), np.random.default_rng(0)
    ends = set()
    for _ in range(60):
        broken = bytearray(body)
        for at in rng.integers(len(body), size=rng.choice([1, 20, 300])):
            broken[at] = rng.integers(256)
        (tmp_path / "b.h5ad").write_bytes(broken)
        try:
            express(tmp_path / "b.h5ad")
            ends.add("read")
        except BiomarkersError:
            ends.add("refused")
    assert ends == {"read", "refused"}


def test_links_that_lead_nowhere(tmp_path, counts):
    for target in ("/X", "/nowhere"):
        made = ad.AnnData(csr_matrix(counts.to_numpy(dtype=np.float32)), var=pd.DataFrame(index=counts.columns))
        made.write_h5ad(tmp_path / "m.h5ad")
        with h5py.File(tmp_path / "m.h5ad", "r+") as file:
            del file["X"]
            file["X"] = h5py.SoftLink(target)
        with pytest.raises(DataError, match=r"cannot be read as HDF5|no X"):
            express(tmp_path / "m.h5ad")


def test_obs_of_every_kind_is_read_as_anndata_reads_it(tmp_path, counts):
    obs = pd.DataFrame(
        {"text": list("abcdefgh"), "kind": pd.Categorical(list("aabbccdd")), "n": range(8), "x": np.linspace(0, 1, 8),
         "yes": [True, False] * 4}, index=NAMES,
    )  # fmt: skip
    made = ad.AnnData(counts.to_numpy(dtype=float), obs=obs, var=pd.DataFrame(index=counts.columns))
    made.write_h5ad(tmp_path / "m.h5ad")
    with h5py.File(tmp_path / "m.h5ad") as file:
        table = read_frame(file, "obs", tmp_path / "m.h5ad")
    again = ad.read_h5ad(tmp_path / "m.h5ad").obs
    pd.testing.assert_frame_equal(table, again, check_dtype=False, check_index_type=False, check_categorical=False)
    made.obs["maybe"] = pd.array([1, None] * 4, dtype="Int64")  # left to anndata
    made.write_h5ad(tmp_path / "m.h5ad")
    assert express(tmp_path / "m.h5ad").scale == "counts"


def test_rows_that_look_like_cells_are_asked_about():
    rng = np.random.default_rng(0)
    data = ad.AnnData(csr_matrix(rng.poisson(0.01, (150, 6000)).astype(np.float32)))
    data.var_names = [*WANTED, *(f"SIMG{i}" for i in range(5996))]
    data.X[0, 0] = 1
    assert any("if they are cells, pool them" in note for note in express(data).warnings)
