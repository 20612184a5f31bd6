"""The identifier that an OME-TIFF carries, from its content: the same seed gives the same file, byte for byte."""

from __future__ import annotations

import hashlib
import uuid

import numpy as np


def stable_uuid(name: str, pixels: np.ndarray) -> str:
    """Make the UUID of a file from its name and pixels, in place of one from the clock and the machine.

    Examples
    --------
    >>> stable_uuid("a", np.zeros((2, 2), dtype=np.uint8))
    '32757afe-8d0a-5392-91e2-b26105b39024'
    """
    digest = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{name} {pixels.shape} {digest}"))
