"""A picture painted by hand: round blue nuclei on a grid, some with a brown ring, on pale glass."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

HEMATOXYLIN = np.array([0.650, 0.704, 0.286]) / np.linalg.norm([0.650, 0.704, 0.286])
DAB = np.array([0.268, 0.570, 0.776]) / np.linalg.norm([0.268, 0.570, 0.776])
STEP, RADIUS = 48, 12  # pixels between nuclei, and of a nucleus: 12 um and 3 um at 0.25 um/px
WHITE = (240.0, 238.0, 236.0)


def paint(side=528, *, ringed=lambda row, column: False, ring_od=0.6, seed=0):
    """Return uint8 (side, side, 3) and the centres (x, y) of the nuclei; pixels 0.25 um."""
    y, x = np.mgrid[:side, :side].astype(float)
    hematoxylin, dab = np.full((side, side), 0.03), np.zeros((side, side))
    centres = []
    for row, middle_y in enumerate(np.arange(STEP, side - STEP / 2, STEP)):
        for column, middle_x in enumerate(np.arange(STEP, side - STEP / 2, STEP)):
            far = np.hypot(x - middle_x, y - middle_y)
            hematoxylin[far < RADIUS] = 0.45
            if ringed(row, column):
                dab[(far > RADIUS + 12) & (far < RADIUS + 18)] = ring_od
            centres.append((middle_x, middle_y))
    density = hematoxylin[..., None] * HEMATOXYLIN + dab[..., None] * DAB
    # a rim of bare glass, from which white can be known
    density[:16] = 0
    noise = np.random.default_rng(seed).normal(0, 1.0, density.shape)
    return np.clip(np.array(WHITE) * 10**-density + noise, 0, 255).round().astype(np.uint8), centres


def save(folder, name="tile.png", **how):
    rgb, centres = paint(**how)
    path = folder / name
    Image.fromarray(rgb).save(path)
    return path, centres


def save_areas(path, areas):
    """Write QuPath annotations: (class name, left, top, right, bottom)."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [[[a, b], [c, b], [c, d], [a, d], [a, b]]]},
            "properties": {"objectType": "annotation", "classification": {"name": name}},
        }
        for name, a, b, c, d in areas
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path
