"""The genes that levels are made of, by whatever name a matrix knows them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from biomarkers.errors import DataError, did_you_mean

# symbol -> (previous symbols and aliases, Ensembl gene, NCBI Gene): HGNC
GENES: Final[Mapping[str, tuple[tuple[str, ...], str, str]]] = {
    "CD274": (("PD-L1", "PDL1", "B7-H1", "B7H1", "PDCD1LG1", "PDCD1L1"), "ENSG00000120217", "29126"),
    "PDCD1": (("PD-1", "PD1", "CD279", "SLEB2"), "ENSG00000188389", "5133"),
    "PDCD1LG2": (("PD-L2", "PDL2", "CD273", "B7-DC", "B7DC"), "ENSG00000197646", "80380"),
    "CD8A": (("CD8", "LEU2"), "ENSG00000153563", "925"),
    "CD8B": (("CD8B1", "LEU2B"), "ENSG00000172116", "926"),
    "GZMA": (("CTLA3",), "ENSG00000145649", "3001"),
    "GZMB": (("CTLA1", "CSPB"), "ENSG00000100453", "3002"),
    "PRF1": (("PFP", "PERFORIN"), "ENSG00000180644", "5551"),
    "IFNG": (("IFN-GAMMA",), "ENSG00000111537", "3458"),
    "CXCL9": (("MIG",), "ENSG00000138755", "4283"),
    "CXCL10": (("IP10", "IP-10"), "ENSG00000169245", "3627"),
    "CXCL11": (("I-TAC", "ITAC"), "ENSG00000169248", "6373"),
    "STAT1": (("STAT91",), "ENSG00000115415", "6772"),
    "IDO1": (("IDO", "INDO"), "ENSG00000131203", "3620"),
    "HLA-DRA": (("HLADRA",), "ENSG00000204287", "3122"),
    "HLA-DQA1": (("HLADQA1",), "ENSG00000196735", "3117"),
    "HLA-DRB1": (("HLADRB1",), "ENSG00000196126", "3123"),
    "HLA-E": (("HLAE",), "ENSG00000204592", "3133"),
    "CCL5": (("RANTES", "SCYA5"), "ENSG00000271503", "6352"),
    "CCR5": (("CKR5", "CD195"), "ENSG00000160791", "1234"),
    "CD27": (("TNFRSF7",), "ENSG00000139193", "939"),
    "CD276": (("B7-H3", "B7H3"), "ENSG00000103855", "80381"),
    "CMKLR1": (("CHEMR23",), "ENSG00000174600", "1240"),
    "CXCR6": (("BONZO", "CD186"), "ENSG00000172215", "10663"),
    "LAG3": (("CD223",), "ENSG00000089692", "3902"),
    "NKG7": ((), "ENSG00000105374", "4818"),
    "PSMB10": (("MECL1",), "ENSG00000205220", "5699"),
    "TIGIT": (("VSIG9", "VSTM3"), "ENSG00000181847", "201633"),
    "CD3D": ((), "ENSG00000167286", "915"),
    "CD3E": ((), "ENSG00000198851", "916"),
    "CD2": ((), "ENSG00000116824", "914"),
    "IL2RG": (("CD132",), "ENSG00000147168", "3561"),
    "CD4": ((), "ENSG00000010610", "920"),
    "FOXP3": (("IPEX", "SCURFIN"), "ENSG00000049768", "50943"),
    "CD68": ((), "ENSG00000129226", "968"),
    "TFE3": ((), "ENSG00000068323", "7030"),
}
DEFAULT_GENES: Final = ("CD274", "PDCD1", "PDCD1LG2", "CD8A")

_ENSEMBL: Final = re.compile(r"^(ENSG\d{11})(?:\.\d+)?$", re.IGNORECASE)
# what a spreadsheet makes of MARCH1, SEPT2, DEC1
_DATE: Final = re.compile(
    r"^(\d{1,2}-(?:Mar|Sep|Dec)|(?:Mar|Sep|Dec)-\d{1,2}|\d{4}-(?:03|09|12)-\d{2}.*)$", re.IGNORECASE
)


@dataclass(frozen=True)
class GeneMatch:
    """How one gene was found: its symbol, its columns in the matrix, their names, and the rule."""

    symbol: str
    columns: tuple[int, ...]
    names: tuple[str, ...]
    rule: str


def find_genes(wanted: Sequence[str], available: Sequence[str]) -> tuple[dict[str, GeneMatch], list[str]]:
    """Find genes by symbol, alias, previous symbol, Ensembl (a version does not matter) or NCBI number.

    Parameters
    ----------
    wanted
        Symbols, or any other name of the marker genes.
    available
        The matrix's names, in column order.

    Returns
    -------
    Symbol -> match for what was found (a gene that stands there several times keeps all its columns, which are summed
    where counts are), and sentences about what was not, with the nearest names.
    """
    by_key: dict[str, list[int]] = {}
    for column, name in enumerate(available):
        by_key.setdefault(_key(name), []).append(column)
    found, missing = {}, []
    for name in wanted:
        symbol = symbol_of(name)
        match = _match(symbol, by_key, available)
        if match is None:
            missing.append(_not_found(symbol, available))
        else:
            found[symbol] = match
    return found, missing


def symbol_of(name: str) -> str:
    """Return a gene's symbol, whichever of its names is given; other genes keep theirs."""
    return _SYMBOLS.get(_key(name), name.strip())


def mangled(available: Sequence[str]) -> list[str]:
    """List names that a spreadsheet turned into dates (1-Mar for MARCHF1): which gene was meant is lost."""
    return [name for name in available if _DATE.match(str(name).strip())]


def refuse_nameless(available: Sequence[str], where: object) -> None:
    """Refuse a matrix whose genes have numbers for names, or none.

    Raises
    ------
    DataError
        So it is.
    """
    names = [str(name).strip() for name in available]
    if not names or all(not name or name.lower() == "nan" for name in names):
        raise DataError("the matrix has no gene names", where=where)
    if names == [str(i) for i in range(len(names))]:
        raise DataError(
            "the matrix has no gene names, only positions", where=where, seen=f"{names[0]}, {names[1:2]}..."
        )


def _match(symbol: str, by_key: Mapping[str, list[int]], available: Sequence[str]) -> GeneMatch | None:
    aliases, ensembl, entrez = GENES.get(symbol, ((), "", ""))
    rules = [("symbol", symbol), ("Ensembl", ensembl), *(("alias", alias) for alias in aliases), ("NCBI Gene", entrez)]
    for rule, name in rules:
        columns = by_key.get(_key(name), []) if name else []
        if columns:
            names = tuple(str(available[column]) for column in columns)
            words = rule if rule != "symbol" or names[0] == symbol else "symbol, other case"
            return GeneMatch(symbol, tuple(columns), names, words)
    return None


def _not_found(symbol: str, available: Sequence[str]) -> str:
    hint = did_you_mean(symbol, [str(name) for name in available[:100_000]])
    return f"{symbol} is not in the matrix" + (f"; {hint.removesuffix('?').lower()}?" if hint else "")


def _key(name: object) -> str:
    text = str(name).strip()
    ensembl = _ENSEMBL.match(text)
    return ensembl.group(1).upper() if ensembl else text.upper()


_SYMBOLS: Final = {
    _key(name): symbol
    for symbol, (aliases, ensembl, entrez) in GENES.items()
    for name in (*aliases, ensembl, entrez, symbol)
}
