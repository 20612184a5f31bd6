"""Small pictures for tests of readers: tissue-like, a label, a whole glass."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw


def tissue(tall: int, wide: int, *, seed: int = 0) -> np.ndarray:
    """A bright picture with violet and brown discs, uint8 (tall, wide, 3)."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (wide, tall), (238, 236, 240))
    draw = ImageDraw.Draw(image)
    for _ in range(tall * wide // 500):
        x, y, r = rng.integers(0, wide), rng.integers(0, tall), rng.integers(4, 9)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(90, 80, 150) if rng.random() < 0.7 else (150, 95, 60))
    noisy = np.asarray(image).astype(int) + rng.integers(-4, 5, (tall, wide, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def label(tall: int, wide: int, *, text: str = "CANARY DOE JOHN") -> np.ndarray:
    """White paper with black writing and a bar code."""
    image = Image.new("RGB", (wide, tall), "white")
    draw = ImageDraw.Draw(image)
    draw.text((wide // 8, tall // 8), text, fill="black", font_size=max(10, tall // 10))
    for k in range(0, 40, 2):
        draw.rectangle((wide // 8 + 3 * k, tall // 2, wide // 8 + 3 * k + 2, tall // 2 + tall // 6), fill="black")
    return np.asarray(image)


def macro(tall: int, wide: int) -> np.ndarray:
    """A grey glass with a piece of tissue and a label at its end."""
    whole = np.full((tall, wide, 3), 229, np.uint8)
    piece = tissue(tall // 3, wide // 3)
    whole[tall // 3 : tall // 3 + piece.shape[0], wide // 6 : wide // 6 + piece.shape[1]] = piece
    written = label(tall, wide // 4)
    whole[:, wide - written.shape[1] :] = written
    return whole
