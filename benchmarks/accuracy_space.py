"""How often the proximity test rejects where there is nothing, and where attraction was planted. All simulated.

python benchmarks/accuracy_space.py nulls [TRIALS]     12 null patterns (default 500 trials each)
python benchmarks/accuracy_space.py more [TRIALS]      a steep gradient, and target cells that all are source cells
python benchmarks/accuracy_space.py weak [TRIALS]      a weak gradient of the target beside a strong one of the source
python benchmarks/accuracy_space.py power [TRIALS]     a share of the target cells put near source cells
python benchmarks/accuracy_space.py squares [TRIALS]   nulls with curved gradients, and power, by the side of squares

1,500 cells in 1 mm2, radius 25 um, 199 moves of the labels. Labels are random given the place: nothing attracts.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import anndata as ad
import numpy as np
import pandas as pd

from biomarkers.score import relabel
from biomarkers.score.space import Proximity, proximity_test

SIDE, N, RADIUS, MOVES = 1000.0, 1500, 25.0, 199
Share = Callable[[np.ndarray], np.ndarray]


def even(rng: np.random.Generator) -> tuple[np.ndarray, Share]:
    """Cells strewn evenly, both labels as likely everywhere."""
    return rng.uniform(0, SIDE, (N, 2)), lambda xy: np.full(len(xy), 0.5)


def clustered(rng: np.random.Generator) -> tuple[np.ndarray, Share]:
    """Cells in 60 clusters, both labels as likely everywhere."""
    centre = rng.uniform(0, SIDE, (60, 2))
    return centre[rng.integers(60, size=N)] + rng.normal(0, 25, (N, 2)), lambda xy: np.full(len(xy), 0.5)


def gradient(rng: np.random.Generator) -> tuple[np.ndarray, Share]:
    """Both labels rise from left to right."""
    return rng.uniform(0, SIDE, (N, 2)), lambda xy: xy[:, 0] / SIDE


def steep(rng: np.random.Generator) -> tuple[np.ndarray, Share]:
    """Both labels fall to a third every 150 um."""
    return rng.uniform(0, SIDE, (N, 2)), lambda xy: np.exp(-xy[:, 0] / 150)


def pieces(rng: np.random.Generator) -> tuple[np.ndarray, Share]:
    """Four pieces of tissue with other shares of both labels."""
    which = rng.integers(4, size=N)
    corner = np.array([[0, 0], [700, 0], [0, 700], [700, 700]])
    share = np.array([0.1, 0.9, 0.5, 0.2])
    xy = corner[which] + rng.uniform(0, 550, (N, 2))
    return xy, lambda at: share[(at[:, 0] > 620) * 1 + (at[:, 1] > 620) * 2]


def apart(p: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Label no cell twice."""
    source = rng.uniform(size=len(p)) < 0.5 * p
    return source, ~source & (rng.uniform(size=len(p)) < 0.6 * p)


def overlapping(p: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Give both labels, each on its own."""
    return rng.uniform(size=len(p)) < 0.1 + 0.6 * p, rng.uniform(size=len(p)) < 0.1 + 0.5 * p


def nested(p: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Give the target's label to source cells only (PD-1 on T cells)."""
    source = rng.uniform(size=len(p)) < 0.1 + 0.7 * p
    return source, source & (rng.uniform(size=len(p)) < 0.1 + 0.6 * p)


def identical(p: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Ask one kind about itself."""
    source = rng.uniform(size=len(p)) < 0.1 + 0.6 * p
    return source, source


def tested(xy: np.ndarray, source: np.ndarray, target: np.ndarray, seed: int) -> Proximity:
    """Run the public test."""
    index = [str(number) for number in range(len(xy))]
    obs = pd.DataFrame({"S_positive": source, "T_positive": target}, index=index)
    cells = ad.AnnData(np.zeros((len(xy), 0)), obs=obs, obsm={"spatial": xy})
    return proximity_test(cells, source="S+", target="T+", radius_um=RADIUS, n_permutations=MOVES, rng=seed)


def told(name: str, found: list[Proximity], started: float) -> None:
    """Print how many of the tests reject at 5%."""
    p = np.array([one.p for one in found])
    local = np.mean([one.null == relabel.LOCAL for one in found])
    doubt = np.mean(["in doubt" in one.note for one in found])
    more = np.array([one.mean_within > one.expected for one in found])
    rates = f"rejected {np.mean(p <= 0.05):.3f} (more than expected {np.mean((p <= 0.05) & more):.3f})"
    print(
        f"{name:28s} {rates}  moved locally {local:.2f}  in doubt {doubt:.2f}  {time.time() - started:.0f} s",
        flush=True,
    )


def nulls(
    trials: int,
    layouts: tuple[Callable, ...] = (pieces, gradient, clustered, even),
    ways: tuple[Callable, ...] = (identical, overlapping, apart),
) -> None:
    """Run every layout with every way of overlap."""
    for layout in layouts:
        for kinds in ways:
            started, found = time.time(), []
            for seed in range(trials):
                rng = np.random.default_rng(seed)
                xy, share = layout(rng)
                found.append(tested(xy, *kinds(share(xy), rng), seed))
            told(f"{layout.__name__}, {kinds.__name__}", found, started)


def more(trials: int) -> None:
    """Run what the twelve patterns leave out."""
    nulls(trials, (steep,))
    nulls(trials, (pieces, gradient, clustered, even), (nested,))


def weak(trials: int) -> None:
    """Give the source a gradient from 0 to 1 and the target one that may not be seen."""
    for slope in (0.0, 0.1, 0.15, 0.2, 0.3):
        started, found = time.time(), []
        for seed in range(trials):
            rng = np.random.default_rng(seed)
            xy = rng.uniform(0, SIDE, (N, 2))
            source = rng.uniform(size=N) < xy[:, 0] / SIDE
            target = rng.uniform(size=N) < 0.3 + slope * (xy[:, 0] / SIDE - 0.5)
            found.append(tested(xy, source, target, seed))
        told(f"target's slope {slope:g} / mm", found, started)


def power(trials: int) -> None:
    """Put a share of the target cells near source cells (normal, 10 um), the others anywhere."""
    for name, tilt in (("even", 0.0), ("gradient", 1.0)):
        for share in (0.05, 0.1, 0.2, 0.4):
            started, found = time.time(), []
            for seed in range(trials):
                rng = np.random.default_rng(seed)
                xy = rng.uniform(0, SIDE, (N, 2))
                likely = (1 - tilt) * 0.5 + tilt * xy[:, 0] / SIDE
                kind = np.where(
                    rng.uniform(size=N) < 0.4 * likely, 1, np.where(rng.uniform(size=N) < 0.4 * likely, 2, 0)
                )
                drawn = np.flatnonzero((kind == 2) & (rng.uniform(size=N) < share))
                at = rng.choice(np.flatnonzero(kind == 1), len(drawn))
                xy[drawn] = xy[at] + rng.normal(0, 10, (len(drawn), 2))
                found.append(tested(xy, kind == 1, kind == 2, seed))
            told(f"{name}, {share:.0%} attracted", found, started)


def squares(trials: int) -> None:
    """Show what the side of the squares costs."""
    for side in (4.0, 8.0, 16.0):
        relabel.SQUARE_RADII = side  # type: ignore[misc]
        print(f"squares of {side:g} radii")
        nulls(trials, (steep,))
        power(trials)


if __name__ == "__main__":
    what = {"nulls": nulls, "more": more, "weak": weak, "power": power, "squares": squares}[sys.argv[1]]
    what(int(sys.argv[2]) if len(sys.argv) > 2 else 500)
