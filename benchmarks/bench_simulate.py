"""How fast scenes are made: python benchmarks/bench_simulate.py [--size 2048] [--repeats 3]."""

import argparse
import statistics
import time

import numpy as np

from biomarkers import render_hdab, simulate_scene
from biomarkers.simulate import Nuisance, render_if


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    simulate_scene(rng=0, size_px=128)
    for crowding in ("sparse", "dense", "touching"):
        seconds = {"scene": [], "H-DAB": [], "mIF": []}
        for seed in range(options.repeats):
            start = time.process_time()
            scene = simulate_scene(rng=seed, size_px=options.size, crowding=crowding)
            placed = time.process_time()
            render_hdab(scene, rng=seed, nuisance=Nuisance.drawn(np.random.default_rng(seed)))
            stained = time.process_time()
            seconds["scene"].append(placed - start)
            seconds["H-DAB"].append(stained - placed)
            render_if(scene, markers=("PD-L1", "CD8"), rng=seed)
            seconds["mIF"].append(time.process_time() - stained)
        megapixels = options.size**2 / 1e6
        middle = {name: statistics.median(values) for name, values in seconds.items()}
        speed = megapixels / (middle["scene"] + middle["H-DAB"])
        parts = ", ".join(f"{name} {value:.2f} s" for name, value in middle.items())
        print(f"{crowding:9} {len(scene.cells)} cells: scene + H-DAB {speed:.2f} MP/s of CPU ({parts}, two markers)")


if __name__ == "__main__":
    main()
