"""The samples of a GEO series matrix as a table: a row a sample, a column a characteristic."""

from __future__ import annotations

import csv
from collections.abc import Sequence

_CHARACTERISTICS = "!Sample_characteristics_ch"
_KEPT = {"!Sample_geo_accession": "geo_accession", "!Sample_title": "title", "!Sample_source_name_ch1": "source_name"}


def is_series_matrix(lines: Sequence[str]) -> bool:
    """Whether a text is a GEO series matrix."""
    return any(line.lstrip('"').startswith("!Sample_geo_accession") for line in lines)


def sample_rows(lines: Sequence[str]) -> list[list[object]]:
    r"""Return header and rows of the samples that the lines above a series matrix describe.

    A characteristic ``response: PR`` becomes a cell of the column ``response``; samples without it have none.

    Examples
    --------
    >>> sample_rows(["!Sample_geo_accession\tG1\tG2", '!Sample_characteristics_ch1\t"os: 3"\t""'])
    [['geo_accession', 'os'], ['G1', '3'], ['G2', '']]
    """
    columns: dict[str, list[str]] = {}
    n = 0
    for cells in csv.reader([line for line in lines if line.lstrip('"').startswith("!Sample_")], delimiter="\t"):
        name, values = cells[0].strip(), [cell.strip() for cell in cells[1:]]
        n = max(n, len(values))
        if name in _KEPT:
            columns[_KEPT[name]] = values
        elif name.startswith(_CHARACTERISTICS):
            for i, value in enumerate(values):
                key, colon, text = value.partition(":")
                if colon:
                    column = columns.setdefault(key.strip(), [""] * len(values))
                    column[i] = text.strip()
    padded = {name: [*values, *[""] * (n - len(values))] for name, values in columns.items()}
    rows: list[list[object]] = [[padded[name][i] for name in padded] for i in range(n)]
    return [list(padded), *rows]
