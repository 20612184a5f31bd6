"""Whether gates, tissue areas and crops of panels hold: simulated shapes and scenes, and real images beside tables.

    python benchmarks/accuracy_panels.py gates                        # negative and positive shapes, held-out seeds
    python benchmarks/accuracy_panels.py density                      # 200 to 8,000 cells/mm2, with and without glass
    python benchmarks/accuracy_panels.py area                         # the same from cells alone, in six shapes
    python benchmarks/accuracy_panels.py crops --real ../shared/data  # 1 to 20 px cut off each side
    python benchmarks/accuracy_panels.py own --real ../shared/data    # own segmentation beside others' tables
    python benchmarks/accuracy_panels.py rows                         # a cell table of 1,000,000 rows

Every level, cell and picture of ``gates``, ``density``, ``area`` and ``rows`` is simulated.
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
    parser.add_argument("what", choices=("gates", "density", "area", "crops", "own", "rows"))
    parser.add_argument("--first-seed", type=int, default=5000)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--real", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.what == "gates":
        gates(range(args.first_seed, args.first_seed + args.seeds))
    elif args.what == "density":
        density(range(args.first_seed, args.first_seed + min(args.seeds, 3)))
    elif args.what == "area":
        area(range(args.first_seed, args.first_seed + args.seeds))
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


def area(seeds: range, *, side: float = 1000.0) -> None:
    """Tissue from cells alone: shapes in a field of 1 mm2, cells strewn, regular, in clusters and along a gradient."""
    from biomarkers.score.tissue_cells import tissue_around_cells

    y, x = np.mgrid[2:side:4, 2:side:4]
    shapes = {
        "whole": x > 0, "left 60%": x < 0.6 * side, "disc": np.hypot(x - 500, y - 500) < 350,
        "hole": np.hypot(x - 500, y - 500) > 300, "band": abs(y - 500) < 250,
        "wave": x < 550 + 120 * np.sin(y / 80), "two": np.hypot(x - 250, y - 300) < 180,
    }  # fmt: skip
    shapes["two"] = shapes["two"] | (np.hypot(x - 750, y - 700) < 200)
    print(
        "cells/mm2, pattern, shape: error of the area, %, its spread and the standard error told; 95% intervals right"
    )
    for per_mm2 in (200, 500, 2000, 8000):
        for pattern in ("strewn", "regular", "clusters", "gradient"):
            for name, mask in shapes.items():
                error, told = [], []
                for seed in seeds:
                    place = _strewn(np.random.default_rng(seed), per_mm2, pattern, side)
                    place = place[mask[(place[:, 1] / 4).astype(int), (place[:, 0] / 4).astype(int)]]
                    found = tissue_around_cells(place, shape=(mask.shape[0], mask.shape[1]), grid_um=4.0)
                    error.append(found.mask.sum() / mask.sum() - 1)
                    told.append(found.area_error)
                off, se = np.array(error), np.array(told)
                right = (np.abs(off) <= np.maximum(1.96 * se, 0.01)).mean()
                print(f"  {per_mm2:5d} {pattern:9s} {name:9s} {100 * off.mean():+5.1f} {100 * off.std():4.1f} "
                      f"{100 * se.mean():4.1f} {right:.0%}")  # fmt: skip


def _strewn(rng: Rng, per_mm2: float, pattern: str, side: float) -> np.ndarray:
    n, spacing = rng.poisson(per_mm2 * side**2 / 1e6), 1000 / per_mm2**0.5
    place = rng.uniform(0, side, (n, 2))
    if pattern == "gradient":  # from a quarter of the density to one and three quarters of it
        place = rng.uniform(0, side, (2 * n, 2))
        place = place[rng.random(2 * n) < 0.125 + 0.75 * place[:, 1] / side]
    elif pattern == "clusters":
        nests = rng.uniform(0, side, (rng.poisson(n / 4), 2))
        place = np.repeat(nests, rng.poisson(4, len(nests)), axis=0)
        place = place + rng.normal(0, 0.6 * spacing, place.shape)
    elif pattern == "regular":
        grid = np.stack(np.meshgrid(*2 * [np.arange(spacing / 2, side, spacing)]), axis=-1).reshape(-1, 2)
        place = grid + rng.normal(0, 0.15 * spacing, grid.shape) + rng.uniform(-spacing / 2, spacing / 2, 2)
    return place[((place >= 0) & (place < side)).all(axis=1)]


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
    print(
        "1 to 20 px cut off one side: largest change of a marker's positive share in points; the same among the cells"
    )
    print("that whole image and crop both hold (matched within 2 um); and by how much the gate alone moves the share")
    for name, (tile, panel) in real_fields(folder).items():
        result = score_channels(tile, panel=panel, slide=name)
        whole = result.gates.set_index("marker")
        found: dict[str, list[tuple[float, float, float]]] = {marker: [] for marker in whole.index}
        for cut in (1, 2, 3, 5, 8, 12, 16, 20):
            for part in (np.s_[:, :, cut:], np.s_[:, :, :-cut], np.s_[:, cut:, :], np.s_[:, :-cut, :]):
                crop = score_channels(tile[part], panel=panel, slide=name)
                corner = np.array([0 if one.start is None else one.start for one in (part[2], part[1])], dtype=float)
                for marker, row in whole.iterrows():
                    found[str(marker)].append(
                        _changes(result, crop, row, str(marker), corner * float(tile.attrs["mpp"]))
                    )
        for marker, changes in found.items():
            told = np.array(changes)
            known = np.isfinite(told[:, 0])
            most = np.abs(told[known]).max(axis=0) * 100 if known.any() else np.full(3, np.nan)
            share = 100 * float(whole.loc[marker, "fraction"])
            print(
                f"  {name} {marker:8s} whole {share:6.2f}%  all {most[0]:5.2f}, common cells {most[1]:5.2f}, the gate "
                f"{most[2]:5.2f} points; {known.sum()} of {len(told)} have a gate"
            )


def _changes(whole: Any, crop: Any, row: Any, marker: str, shift_um: np.ndarray) -> tuple[float, float, float]:
    """Change of a share by a crop: of all cells, of those that both hold, and by the gate alone."""
    from scipy.spatial import KDTree

    from biomarkers.pheno.gates import gate_values

    gate = float(crop.gates.set_index("marker").loc[marker, "gate"])
    before, after = (gate_values(one.cells, marker=marker, compartment=row["compartment"]) for one in (whole, crop))
    if not (np.isfinite(gate) and np.isfinite(row["gate"])):
        return np.nan, np.nan, np.nan
    here, there = (np.asarray(one.cells.obsm["spatial"], dtype=float) for one in (whole, crop))
    away, which = min(
        (KDTree(here).query(there + one) for one in (shift_um, np.zeros(2))),
        key=lambda found: float(np.median(found[0])),
    )
    both = away <= 2.0
    all_cells = float((after >= gate).mean() - (before >= row["gate"]).mean())
    common = float((after[both] >= gate).mean() - (before[which[both]] >= row["gate"]).mean())
    return all_cells, common, float((after >= gate).mean() - (after >= row["gate"]).mean())


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
