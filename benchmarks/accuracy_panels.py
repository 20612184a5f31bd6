"""Whether gates, tissue areas and crops of panels hold: simulated shapes and scenes, and real images beside tables.

    python benchmarks/accuracy_panels.py gates                        # negative and positive shapes, held-out seeds
    python benchmarks/accuracy_panels.py density                      # 200 to 8,000 cells/mm2, with and without glass
    python benchmarks/accuracy_panels.py crops --real ../shared/data  # 1 to 20 px cut off each side
    python benchmarks/accuracy_panels.py own --real ../shared/data    # own segmentation beside others' tables
    python benchmarks/accuracy_panels.py rows                         # a cell table of 1,000,000 rows

Every level, cell and picture of ``gates``, ``density`` and ``rows`` is simulated.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biomarkers.core.panel import Panel
from biomarkers.io.channels import make_channels, read_channels
from biomarkers.pheno.gate_fit import fit_gate
from biomarkers.score.multiplex_slide import score_channels

Rng = np.random.Generator
NEGATIVE: dict[str, Callable[[Rng, int], np.ndarray]] = {
    "normal": lambda rng, n: rng.normal(0, 20, n),
    "normal, cut at zero": lambda rng, n: np.maximum(0, rng.normal(-2, 3, n)),
    "half cut at zero": lambda rng, n: np.maximum(0, rng.normal(1, 3, n)),
    "exponential": lambda rng, n: rng.exponential(5, n),
    "gamma": lambda rng, n: rng.gamma(3, 5, n),
    "lognormal": lambda rng, n: np.exp(rng.normal(2, 0.6, n)),
    "Poisson": lambda rng, n: rng.poisson(2, n).astype(float),
    "negative binomial": lambda rng, n: rng.negative_binomial(1, 0.2, n).astype(float),
}
POSITIVE: dict[str, tuple[str, Callable[[Rng, int], np.ndarray]]] = {
    "normal": ("normal", lambda rng, n: 600 * np.exp(rng.normal(0, 0.4, n))),
    "normal, cut at zero": ("normal, cut at zero", lambda rng, n: 60 * np.exp(rng.normal(0, 0.4, n))),
    "gamma": ("gamma", lambda rng, n: 200 * np.exp(rng.normal(0, 0.4, n))),
    "lognormal": ("lognormal", lambda rng, n: np.exp(rng.normal(5, 0.5, n))),
    "Poisson": ("Poisson", lambda rng, n: rng.poisson(40, n).astype(float)),
    "negative binomial": ("negative binomial", lambda rng, n: rng.negative_binomial(8, 0.05, n).astype(float)),
}
SHARES = (0.001, 0.01, 0.1, 0.5, 0.9)
CELLS = (500, 2000, 5000, 20000)
DENSITIES = (200, 500, 1500, 4000, 8000)
CSM = {"PDL1": ("PD-L1", "membrane"), "GZMB": ("GZMB", "cytoplasm"), "PD1": ("PD-1", "membrane"),
       "CK-EPCAM": ("CK", "cell"), "CD8a": ("CD8", "membrane"), "FOXP3": ("FOXP3", "nucleus")}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("gates", "density", "crops", "own", "rows"))
    parser.add_argument("--first-seed", type=int, default=5000)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--real", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.what == "gates":
        gates(range(args.first_seed, args.first_seed + args.seeds))
    elif args.what == "density":
        density(range(args.first_seed, args.first_seed + min(args.seeds, 3)))
    elif args.what == "rows":
        rows()
    elif args.real is None:
        parser.error("--real names the folder of real data")
    else:
        {"crops": crops, "own": own}[args.what](args.real)


def gates(seeds: range) -> None:
    print("negative only: slides with a gate, and with more than 1% called positive")
    for name, draw in NEGATIVE.items():
        calls = []
        for seed in seeds:
            rng = np.random.default_rng(seed)
            values = draw(rng, CELLS[seed % len(CELLS)])
            gate = fit_gate(values).gate
            calls.append(float((values >= gate).mean()) if np.isfinite(gate) else np.nan)
        print(f"  {name:22s} {np.isfinite(calls).sum():3d} {np.nansum(np.array(calls) > 0.01):3.0f} of {len(calls)}")
    print("positive share: not evaluable, and of the others how many are off by more than 1 point and 20% of it")
    for name, (negative, draw) in POSITIVE.items():
        for share in SHARES:
            away, none = 0, 0
            for seed in seeds:
                rng = np.random.default_rng(seed)
                n = CELLS[seed % len(CELLS)]
                positive = rng.random(n) < share
                values = np.where(positive, draw(rng, n), NEGATIVE[negative](rng, n))
                gate = fit_gate(values).gate
                none += not np.isfinite(gate)
                off = abs((values >= gate).mean() - positive.mean()) if np.isfinite(gate) else 0.0
                away += off > max(0.01, 0.2 * positive.mean())
            print(f"  {name:22s} {share:6.1%} {none:3d} {away:3d} of {len(seeds)}")


def density(seeds: range) -> None:
    print("cells/mm2 planted, glow of tissue (counts), share that is tissue: error of the area and of the density, %")
    for per_mm2 in DENSITIES:
        for glow in (0.0, 40.0):
            for share in (1.0, 0.6):
                found = [_scene(seed, per_mm2, glow, share) for seed in seeds]
                area, cells = (100 * np.array([one[k] for one in found]) for k in ("area", "density"))
                sources = "/".join(sorted({one["source"] for one in found}))
                print(f"  {per_mm2:5d} {glow:3.0f} {share:.1f} area {_span(area)} density {_span(cells)} by {sources}")


def _span(values: np.ndarray) -> str:
    return f"{values.mean():+5.1f} ({values.min():+5.1f} to {values.max():+5.1f})"


def _scene(seed: int, per_mm2: int, glow: float, share: float) -> dict[str, Any]:
    """Nuclei strewn evenly over the left part of a field, on tissue that shines by itself or not."""
    tile, planted, tissue_mm2 = simulated_field(seed, per_mm2=per_mm2, glow=glow, share=share)
    panel = Panel(name="field", nucleus_um=7, channels={
        "DAPI": {"marker": "DAPI", "role": "nuclei"}, "CK": {"marker": "CK"}, "CD8": {"marker": "CD8"},
    })  # fmt: skip
    result = score_channels(tile, panel=panel, slide="simulated")
    area = result.regions.area_mm2("all") or np.nan
    return {
        "area": area / tissue_mm2 - 1,
        "density": result.cells.n_obs / area / (planted / tissue_mm2) - 1,
        "source": result.regions.area_source,
    }


def simulated_field(
    seed: int, *, per_mm2: float, glow: float, share: float = 1.0, size_px: int = 1200, mpp: float = 0.5
) -> tuple[Any, int, float]:
    """Render nuclei of 7 um, two markers, tissue glow; return the tile, how many nuclei, and the tissue's mm2."""
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    side_um = size_px * mpp
    wide = side_um * share
    n = rng.poisson(per_mm2 * wide * side_um / 1e6)
    spacing = min(7.5, 0.75 * (1e6 / per_mm2) ** 0.5)
    place = np.zeros((0, 2))
    while len(place) < n:  # nuclei do not overlap
        more = rng.uniform((0, 0), (wide, side_um), (n, 2))
        for one in more:
            if len(place) < n and (not len(place) or ((place - one) ** 2).sum(axis=1).min() > spacing**2):
                place = np.vstack([place, one])
    seeds = np.zeros((size_px, size_px), bool)
    column, row = (np.minimum((place[:, axis] / mpp).astype(int), size_px - 1) for axis in (0, 1))
    seeds[row, column] = True
    away, (rows, columns) = ndimage.distance_transform_edt(~seeds, return_indices=True)
    number = np.zeros(seeds.shape, int)
    number[row, column] = np.arange(len(row))
    owner = number[rows, columns]
    nucleus, cell = away * mpp <= 3.2, away * mpp <= 4.8
    bright = rng.uniform(900, 1700, len(row))
    ck, cd8 = rng.random(len(row)) < 0.4, rng.random(len(row)) < 0.15
    tissue = np.zeros(seeds.shape)
    tissue[:, : round(wide / mpp)] = glow
    planes = [
        np.where(nucleus, bright[owner], 0.0),
        np.where(cell & ck[owner], 700.0, 0.0),
        np.where(cell & cd8[owner], 500.0, 0.0),
    ]
    noisy = [
        rng.poisson(ndimage.gaussian_filter(plane + tissue, 0.8) + 60) + rng.normal(40, 6, plane.shape)
        for plane in planes
    ]
    pixels = np.clip(np.stack(noisy), 0, 65535).astype(np.uint16)
    tile = make_channels(pixels, names=["DAPI", "CK", "CD8"], mpp=mpp)
    return tile, len(row), wide * side_um / 1e6


def real_fields(folder: Path) -> dict[str, tuple[Any, Panel]]:
    """Read the two csm crops and the phenoptr field with their panels."""
    fields: dict[str, tuple[Any, Panel]] = {}
    nuclei = {"DAPI": {"marker": "DAPI", "role": "nuclei"}}
    csm = Panel(name="csm", channels={
        **nuclei, **{name: {"marker": marker, "compartment": part} for name, (marker, part) in CSM.items()}
    })  # fmt: skip
    for path in sorted((folder / "images" / "csm").glob("*.ome.tif")):
        fields[path.name.split("_")[1]] = (read_channels(path, panel=csm, mpp=0.5), csm)
    stem = folder / "images" / "phenoptr" / "FIHC4" / "test_data" / "FIHC4__0929309_HP_IM3_2_component_data.tif"
    whole = read_channels(stem)
    names = [str(name) for name in whole.coords["c"].to_numpy()]
    own = Panel(name="fihc4", channels={
        **nuclei, **{one: {"marker": one.replace(" ", "")} for one in names if one not in ("DAPI", "Autofluorescence")}
    })  # fmt: skip
    fields["FIHC4"] = (read_channels(stem, panel=own), own)
    return fields


def crops(folder: Path) -> None:
    from biomarkers.pheno.gates import gate_values

    print(
        "1 to 20 px cut off one side: largest change of a marker's positive share, points; and how much of it is gone"
    )
    print("when the crop is called with the gate of the whole image (the rest: other cells are left, not another gate)")
    for name, (tile, panel) in real_fields(folder).items():
        whole = score_channels(tile, panel=panel, slide=name).gates.set_index("marker")
        found: dict[str, list[tuple[float, float]]] = {marker: [] for marker in whole.index}
        for cut in (1, 2, 3, 5, 8, 12, 16, 20):
            for part in (np.s_[:, :, cut:], np.s_[:, :, :-cut], np.s_[:, cut:, :], np.s_[:, :-cut, :]):
                result = score_channels(tile[part], panel=panel, slide=name)
                shares = result.gates.set_index("marker")["fraction"]
                for marker, row in whole.iterrows():
                    levels = gate_values(result.cells, marker=str(marker), compartment=row["compartment"])
                    same = float((levels >= row["gate"]).mean()) if np.isfinite(row["gate"]) else np.nan
                    found[str(marker)].append((float(shares[marker]), same))
        for marker, pairs in found.items():
            shares, same = np.array(pairs).T
            known, own = np.isfinite(shares), float(whole.loc[marker, "fraction"])
            told = np.isfinite(own) and known.any()
            most = 100 * np.abs(shares[known] - own).max() if told else np.nan
            gate = 100 * np.abs(shares[known] - same[known]).max() if told else np.nan
            print(f"  {name} {marker:8s} whole {100 * own:6.2f}%  all {most:5.2f}, by the gate {gate:5.2f} points; "
                  f"{known.sum()} of {len(shares)} crops have a gate")  # fmt: skip


def own(folder: Path) -> None:
    table = pd.read_csv(folder / "images" / "csm" / "CSM_Phenotypecell_test.csv")
    theirs = {name.split("_")[1]: part for name, part in table.groupby("Subject_Names")}
    columns = {"CK": "CK_EPCAM_AVERAGE", "CD8": "CD8a_AVERAGE", "GZMB": "GZMB_AVERAGE"}
    fields = real_fields(folder)
    results = {name: score_channels(tile, panel=panel, slide=name) for name, (tile, panel) in fields.items()}
    from biomarkers.pheno.gates import fit_gates

    both = {name: results[name].cells for name in theirs}
    shared = fit_gates(both, panel=fields["B09"][1], per="batch").set_index("marker")
    stated = {
        "CK": 0.049 * 255,
        "CD8": 0.042 * 255,
        "GZMB": 0.0296 * 255,
    }  # the cuts that the table shows, mean of cell
    for name, part in theirs.items():
        cells = results[name].cells
        print(f"{name}: {cells.n_obs} cells, table {len(part)}")
        for marker, column in columns.items():
            from biomarkers.pheno.gates import gate_values

            levels = gate_values(cells, marker=marker, compartment=shared.loc[marker, "compartment"])
            mean = gate_values(cells, marker=marker, compartment="cell")
            alone = results[name].gates.set_index("marker").loc[marker, "fraction"]
            gate = shared.loc[marker, "gate"]
            batch = (levels >= gate).mean() if np.isfinite(gate) else np.nan
            same = (mean >= stated[marker]).mean()
            print(f"  {marker}+ alone {alone:.3f}, shared gate {batch:.3f}, at the table's cut {same:.3f}, "
                  f"table {part[column].astype(bool).mean():.3f}")  # fmt: skip
    fihc = results["FIHC4"]
    print(f"FIHC4: {fihc.cells.n_obs} cells, table 270")
    print(fihc.gates[["marker", "gate", "gate_low", "gate_high", "fraction", "flags"]].to_string(index=False))


def rows(n: int = 1_000_000) -> None:
    from biomarkers.run.cell_tables import score_tables

    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"CellID": np.arange(1, n + 1)})
    markers = ("CD3", "CD8", "PD1", "PDL1", "CK", "FOXP3", "CD68")
    for i, marker in enumerate(("DNA1", *markers)):
        positive = rng.random(n) < 0.1 + 0.05 * i
        frame[marker] = np.round(np.where(positive, 600 * np.exp(rng.normal(0, 0.4, n)), 20) + rng.normal(60, 15, n), 4)
    frame["X_centroid"], frame["Y_centroid"] = (np.round(rng.uniform(0, 20000, n), 2) for _ in range(2))
    frame["Area"], frame["imageid"] = rng.integers(60, 200, n), "simulated"
    panel = 'name = "rows"\n[channels.DNA1]\nmarker = "DAPI"\nrole = "nuclei"\n'
    panel += "".join(f'[channels.{marker}]\nmarker = "{marker}"\n' for marker in markers)
    panel += '[phenotypes]\nTreg = "CD3+ FOXP3+"\nCTL = "CD3+ CD8+"\nT = "CD3+"\ntumor = "CK+"\n'
    panel += '[[scores]]\nname = "CTL"\nkind = "density"\ncells = "CTL"\n'
    panel += '[[scores]]\nname = "PD-L1"\nkind = "cps"\nmarker = "PD-L1"\nof = "tumor"\ncells = "CD3+"\n'
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame.to_csv(folder / "cells.csv", index=False)
        (folder / "panel.toml").write_text(panel)
        del frame
        before = time.perf_counter(), time.process_time()
        score_tables([folder / "cells.csv"], panel=folder / "panel.toml", out=folder / "out", fit=True, mpp=0.5,
                     area_mm2={"all": 100.0})  # fmt: skip
        wall, cpu = time.perf_counter() - before[0], time.process_time() - before[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{n:,} rows: {wall:.1f} s, {cpu:.1f} CPU s, peak {peak:.2f} GB")


if __name__ == "__main__":
    main()
