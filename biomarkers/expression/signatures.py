"""Published signatures: which genes, how combined, from where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Signature:
    """A signature; ``combine`` is ``mean`` (of log2 levels) or ``geometric_mean`` (of linear levels)."""

    name: str
    genes: tuple[str, ...]
    combine: str
    source: str


SIGNATURES: Final = {
    signature.name: signature
    for signature in (
        Signature(
            "ifng_10",
            ("IFNG", "STAT1", "CCR5", "CXCL9", "CXCL10", "CXCL11", "IDO1", "PRF1", "GZMA", "HLA-DRA"),
            "mean",
            "Ayers 2017, J Clin Invest 127:2930 (preliminary IFN-gamma signature)",
        ),
        Signature(
            "t_cell_inflamed_18",
            ("CCL5", "CD27", "CD274", "CD276", "CD8A", "CMKLR1", "CXCL9", "CXCR6", "HLA-DQA1", "HLA-DRB1", "HLA-E",
             "IDO1", "LAG3", "NKG7", "PDCD1LG2", "PSMB10", "STAT1", "TIGIT"),
            "mean",
            "Ayers 2017, J Clin Invest 127:2930 (genes of the T-cell-inflamed profile, unweighted mean of log2 levels)",
        ),
        Signature(
            "cytolytic", ("GZMA", "PRF1"), "geometric_mean", "Rooney 2015, Cell 160:48 (geometric mean, linear)"
        ),
        Signature(
            "cd8_effector",
            ("CD8A", "GZMA", "GZMB", "IFNG", "CXCL9", "CXCL10", "PRF1", "TBX21"),
            "mean",
            "Mariathasan 2018, Nature 554:544 (CD8 T-effector genes, mean of log2 levels)",
        ),
    )
}  # fmt: skip
