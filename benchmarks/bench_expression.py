"""CPU and memory of `express` on a large single-cell matrix, against reading it whole and normalising it with scanpy.

    python benchmarks/bench_expression.py                     # 100,000 cells x 20,000 genes, 6% of values not zero
    python benchmarks/bench_expression.py --cells 10000       # for development

Each measurement runs in its own child process, uncompressed and gzip, the two ways alternating. Imports, and a first
run on a tiny file for what is compiled or loaded late, are reported apart. "Peak" is the largest resident size, "net"
that minus the size after imports. The matrix is simulated, made by anndata in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GENES = ("CD274", "PDCD1")
TINY_CELLS = 300


def make(path: Path, cells: int, genes: int, density: float, compression: str | None) -> None:
    """Write a CSR matrix of counts, float32, as anndata lays it out."""
    import anndata as ad
    import numpy as np
    import pandas as pd
    from scipy.sparse import csr_matrix

    rng = np.random.default_rng(0)
    columns, lengths = [], []
    for start in range(0, cells, 500):
        rows, found = np.nonzero(rng.random((min(500, cells - start), genes), dtype=np.float32) < density)
        columns.append(found.astype(np.int32))
        lengths.append(np.bincount(rows, minlength=min(500, cells - start)))
    indices = np.concatenate(columns)
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    data = rng.geometric(0.5, len(indices)).astype(np.float32)
    names = [*GENES, *(f"SIMG{i:05d}" for i in range(genes - len(GENES)))]
    matrix = csr_matrix((data, indices, indptr), shape=(cells, genes))
    obs = pd.DataFrame(index=[f"cell{i}" for i in range(cells)])
    ad.AnnData(matrix, obs=obs, var=pd.DataFrame(index=names)).write_h5ad(path, compression=compression)


def child(way: str, path: Path, tiny: Path, out: Path) -> None:
    """Measure one way in this process and print what it took."""
    import numpy as np

    begun = time.process_time()
    run = ours if way == "express" else whole
    run(tiny)
    imports, base = time.process_time() - begun, _resident()
    begun, wall = time.process_time(), time.perf_counter()
    values = run(path)
    cpu, wall = time.process_time() - begun, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    np.save(out, values)
    print(json.dumps({"imports": imports, "base": base, "cpu": cpu, "wall": wall, "peak": peak}))


def _resident() -> float:
    import psutil

    return psutil.Process().memory_info().rss / 2**20


def ours(path: Path):
    import numpy as np

    from biomarkers.expression import express

    levels = express(path, genes=GENES, signatures=[]).levels
    return np.column_stack([levels.loc[levels["marker"] == gene, "value"].to_numpy() for gene in GENES])


def whole(path: Path):
    import anndata as ad
    import scanpy as sc

    data = ad.read_h5ad(path)
    sc.pp.normalize_total(data, target_sum=1e6)
    sc.pp.log1p(data, base=2)
    return data[:, list(GENES)].X.toarray()


def measure(way: str, path: Path, tiny: Path) -> tuple[dict[str, float], object]:
    import numpy as np

    out = path.with_name(f"{way}.npy")
    command = [sys.executable, __file__, "--child", way, "--path", str(path), "--tiny", str(tiny), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1]), np.load(out)


def compare(folder: Path, args: argparse.Namespace, compression: str | None) -> None:
    import numpy as np

    path, tiny = folder / "large.h5ad", folder / "tiny.h5ad"
    for target, cells in ((tiny, TINY_CELLS), (path, args.cells)):
        made = [sys.executable, __file__, "--make", str(target), "--cells", str(cells), "--genes", str(args.genes)]
        subprocess.run([*made, "--density", str(args.density), "--compression", compression or ""], check=True)
    print(f"\n{compression or 'uncompressed'}: {args.cells:,} x {args.genes:,}, {path.stat().st_size / 2**20:,.0f} MB")
    taken: dict[str, list[dict[str, float]]] = {"whole": [], "express": []}
    values = {}
    for _ in range(args.repeats):
        for way in taken:
            found, values[way] = measure(way, path, tiny)
            taken[way].append(found)
            row = "  ".join(f"{name} {found[name]:6.2f}" for name in ("imports", "cpu", "wall"))
            print(
                f"  {way:8s} {row} s   peak {found['peak']:6.0f} MB, net {found['peak'] - found['base']:6.0f} MB",
                flush=True,
            )
    best = {way: {key: float(np.median([t[key] for t in runs])) for key in runs[0]} for way, runs in taken.items()}
    a, b = best["whole"], best["express"]
    less = (a["peak"] - a["base"]) / max(b["peak"] - b["base"], 1)
    difference = np.abs(values["whole"] - values["express"]) / np.maximum(np.abs(values["whole"]), 1)
    peak = a["peak"] / b["peak"]
    print(f"  medians: CPU {a['cpu'] / b['cpu']:.1f}x less, net memory 1/{less:.1f}, peak memory 1/{peak:.1f}")
    print(f"  largest relative difference of {values['whole'].size:,} levels: {difference.max():.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--genes", type=int, default=20_000)
    parser.add_argument("--density", type=float, default=0.06)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--compression", choices=("", "gzip", "both"), default="both")
    for name in ("make", "child", "path", "tiny", "out"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.make:
        make(Path(args.make), args.cells, args.genes, args.density, args.compression or None)
    elif args.child:
        child(args.child, Path(args.path), Path(args.tiny), Path(args.out))
    else:
        for compression in (None, "gzip") if args.compression == "both" else (args.compression or None,):
            with tempfile.TemporaryDirectory() as folder:
                compare(Path(folder), args, compression)


if __name__ == "__main__":
    main()
