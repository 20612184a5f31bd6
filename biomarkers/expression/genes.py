"""The genes that levels are made of, by whatever name a matrix knows them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from biomarkers.core.errors import DataError, did_you_mean

# symbol -> (previous symbols and aliases, Ensembl gene, NCBI Gene): HGNC
GENES: Final[Mapping[str, tuple[tuple[str, ...], str, str]]] = {
    "CD274": (("PD-L1", "PDL1", "B7-H1", "B7H1", "B7-H", "PDCD1LG1", "PDCD1L1", "HPD-L1"), "ENSG00000120217", "29126"),
    "PDCD1": (("PD-1", "PD1", "CD279", "SLEB2", "HPD-1"), "ENSG00000188389", "5133"),
    "PDCD1LG2": (("PD-L2", "PDL2", "CD273", "B7-DC", "B7DC", "PDCD1L2", "BTDC"), "ENSG00000197646", "80380"),
    "CD8A": (("CD8", "LEU2", "CD8ALPHA"), "ENSG00000153563", "925"),
    "CD8B": (("CD8B1", "LEU2B", "CD8BETA"), "ENSG00000172116", "926"),
    "GZMA": (("CTLA3", "HFSP"), "ENSG00000145649", "3001"),
    "GZMB": (("CTLA1", "CSPB", "CGL1"), "ENSG00000100453", "3002"),
    "PRF1": (("PFP", "PERFORIN", "HPLH2"), "ENSG00000180644", "5551"),
    "IFNG": (("IFN-GAMMA", "IFG"), "ENSG00000111537", "3458"),
    "CXCL9": (("MIG", "SCYB9", "CMK"), "ENSG00000138755", "4283"),
    "CXCL10": (("IP10", "IP-10", "INP10", "SCYB10", "IFI10"), "ENSG00000169245", "3627"),
    "CXCL11": (("I-TAC", "ITAC", "SCYB11", "SCYB9B", "IP-9"), "ENSG00000169248", "6373"),
    "STAT1": (("STAT91",), "ENSG00000115415", "6772"),
    "IDO1": (("IDO", "INDO"), "ENSG00000131203", "3620"),
    "HLA-DRA": (("HLADRA", "HLA-DRA1"), "ENSG00000204287", "3122"),
    "HLA-DQA1": (("HLADQA1", "HLA-DQA"), "ENSG00000196735", "3117"),
    "HLA-DRB1": (("HLADRB1", "HLA-DR1B"), "ENSG00000196126", "3123"),
    "HLA-E": (("HLAE",), "ENSG00000204592", "3133"),
    "CCL5": (("RANTES", "SCYA5", "D17S136E"), "ENSG00000271503", "6352"),
    "CCR5": (("CKR5", "CD195", "CMKBR5", "CC-CKR-5"), "ENSG00000160791", "1234"),
    "CD27": (("TNFRSF7", "S152"), "ENSG00000139193", "939"),
    "CD276": (("B7-H3", "B7H3"), "ENSG00000103855", "80381"),
    "CMKLR1": (("CHEMR23", "CHEMERINR1"), "ENSG00000174600", "1240"),
    "CXCR6": (("BONZO", "CD186", "STRL33", "TYMSTR"), "ENSG00000172215", "10663"),
    "LAG3": (("CD223",), "ENSG00000089692", "3902"),
    "NKG7": (("GIG1", "GMP-17"), "ENSG00000105374", "4818"),
    "PSMB10": (("MECL1", "LMP10", "MECL-1"), "ENSG00000205220", "5699"),
    "TIGIT": (("VSIG9", "VSTM3", "WUCAM"), "ENSG00000181847", "201633"),
    "TBX21": (("T-BET", "TBET"), "ENSG00000073861", "30009"),
    "CD3D": (("T3D",), "ENSG00000167286", "915"),
    "CD3E": (("T3E",), "ENSG00000198851", "916"),
    "CD2": (("SRBC", "LFA-2"), "ENSG00000116824", "914"),
    "IL2RG": (("CD132", "SCIDX1", "CIDX"), "ENSG00000147168", "3561"),
    "CD4": ((), "ENSG00000010610", "920"),
    "FOXP3": (("IPEX", "SCURFIN", "JM2"), "ENSG00000049768", "50943"),
    "CD68": (("SCARD1", "MACROSIALIN", "LAMP4"), "ENSG00000129226", "968"),
    "TFE3": (("TFEA", "BHLHE33"), "ENSG00000068323", "7030"),
}
DEFAULT_GENES: Final = ("CD274", "PDCD1", "PDCD1LG2", "CD8A")

_ENSEMBL: Final = re.compile(r"^(ENSG\d{11})(?:\.\d+)?$", re.IGNORECASE)
_COMPOSITE: Final = re.compile(
    r"^(?:(ENSG\d{11})(?:\.\d+)?[_|:;, -]+(.+)|(.+?)[_|:;, -]+(ENSG\d{11})(?:\.\d+)?|(\S+) \((?:\d+|ENSG\d+)\))$"
)
# what a spreadsheet makes of MARCH1, SEPT2, DEC1
_MONTH: Final = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|Mrz|Mär|Mai|Okt|Dez)"
_DATE: Final = re.compile(
    rf"^(\d{{1,2}}[-./ ]+{_MONTH}|{_MONTH}[-./ ]+\d{{1,2}}|\d{{4}}-\d{{2}}-\d{{2}}.*|"
    r"\d{1,2}[/.]\d{1,2}[/.]\d{2,4})$",
    re.IGNORECASE | re.MULTILINE,
)
_SERIAL: Final = re.compile(r"^[34]\d{4}$")  # days since 1900, of 1982 to 2036


# rows of HTSeq and STAR that count reads of no gene, sums of all rows, spike-ins, control probes of NanoString
_NO_GENE: Final = re.compile(
    r"^[ \t]*((?:__)?(?:no_feature|ambiguous|too_low_aqual|not_aligned|alignment_not_unique)|N_(?:unmapped|"
    r"multimapping|noFeature|ambiguous)|ERCC-\d{5}|(?:POS|NEG)_[A-H](?:\(.*\))?|"
    r"(?:grand |column )?(?:total|sum)s?|\*)[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_CONTROL: Final = re.compile(r"^[ \t]*(POS|NEG)_[A-H](\(.*\))?[ \t]*$", re.MULTILINE)
_PROBE: Final = re.compile(r"^(\d+(_[a-z])?_at|ILMN_\d+|A_\d+_P\d+)$")
# NanoString panels normalise by these: the 11 of the T-cell-inflamed profile (Ayers 2017) and five of older panels
HOUSEKEEPING: Final = (
    "STK11IP", "ZBTB34", "TBC1D10B", "OAZ1", "POLR2A", "G6PD", "ABCF1", "NRDE2", "UBB", "TBP", "SDHA",
    "ACTB", "GAPDH", "HPRT1", "PGK1", "GUSB",
)  # fmt: skip


@dataclass(frozen=True)
class GeneMatch:
    """How one gene was found: its symbol, its columns in the matrix, their names, and the rule."""

    symbol: str
    columns: tuple[int, ...]
    names: tuple[str, ...]
    rule: str


class GeneNames:
    """The names of a matrix's genes, in column order, looked up by any name of a gene."""

    def __init__(self, available: Sequence[str], *, also: Mapping[str, Sequence[str]] | None = None) -> None:
        self._available = available
        self._tables = [(column, names, _by_key(names)) for column, names in [("", available), *(also or {}).items()]]
        self._near: dict[str, list[str]] = {}
        self._loose: dict[str, tuple[int, ...]] | None = None

    def find(self, wanted: Sequence[str]) -> tuple[dict[str, GeneMatch], list[str]]:
        """Find genes; see :func:`find_genes`."""
        found, missing = {}, []
        for symbol in dict.fromkeys(symbol_of(name) for name in wanted):
            matches = ((column, _match(symbol, by_key, names)) for column, names, by_key in self._tables)
            column, match = next(((column, match) for column, match in matches if match), ("", None))
            if match is None:
                match = self._like(symbol)
            if match is None:
                missing.append(self._not_found(symbol))
            else:
                rule = f"{match.rule}, by the column {column!r}" if column else match.rule
                found[symbol] = GeneMatch(symbol, match.columns, match.names, rule)
        return found, missing

    def beside(self, found: Mapping[str, GeneMatch]) -> list[str]:
        """Say where a gene stands under a second name too, which is not used (a protein, perhaps: PD-L1)."""
        _, names, by_key = self._tables[0]
        notes = []
        for symbol, match in found.items():
            aliases, ensembl, entrez = GENES.get(symbol, ((), "", ""))
            keys = {_key(name) for name in (symbol, *aliases, ensembl, entrez) if name}
            others = sorted({i for key in keys for i in by_key.get(key, [])} - set(match.columns))
            if others:
                text = ", ".join(str(names[i]) for i in others)
                notes.append(f"{symbol} was read as {match.names[0]}; {text} stands there too and was not used")
        return notes

    def _like(self, symbol: str) -> GeneMatch | None:
        """Find a gene in names of several parts (``CD274|29126``) or with other punctuation (``HLA.DRA``)."""
        if self._loose is None:
            self._loose = {}
            for column, name in enumerate(map(str, self._available)):
                simple = name.isalnum() and name[0] not in "xX"  # as most are
                for key in (name.upper(),) if simple else loose_keys(name):
                    self._loose[key] = (*self._loose.get(key, ()), column)
        aliases, ensembl, entrez = GENES.get(symbol, ((), "", ""))
        for name in (symbol, ensembl, *aliases, entrez):
            columns = self._loose.get(_plain(name), ()) if name else ()
            if columns:
                names = tuple(str(self._available[column]) for column in columns)
                return GeneMatch(symbol, columns, names, f"like {name}: a part of the name, or other punctuation")
        return None

    def _not_found(self, symbol: str) -> str:
        # only names with the same beginning are compared: 20,000 of them would cost more than reading the matrix
        if not self._near:
            for name in self._available:
                self._near.setdefault(name[:2].upper(), []).append(name)
        hint = did_you_mean(symbol, self._near.get(symbol[:2].upper(), []))
        return f"{symbol} is not in the matrix" + (f"; did you mean {hint.split(chr(39))[1]}?" if hint else "")


def find_genes(
    wanted: Sequence[str], available: Sequence[str], *, also: Mapping[str, Sequence[str]] | None = None
) -> tuple[dict[str, GeneMatch], list[str]]:
    """Find genes by symbol, alias, previous symbol, Ensembl (a version does not matter) or NCBI number.

    Parameters
    ----------
    wanted
        Symbols, or any other name of the marker genes.
    available
        The matrix's names, in column order.
    also
        Other names of the same columns (``{"gene_symbols": [...]}``), asked only for genes that ``available`` lacks.

    Returns
    -------
    Symbol -> match for what was found (a gene that stands there several times keeps all its columns, which are summed),
    and sentences about what was not, with the nearest names.
    """
    return GeneNames(available, also=also).find(wanted)


def symbol_of(name: str) -> str:
    """Return a gene's symbol, whichever of its names is given; other genes keep theirs."""
    return _SYMBOLS.get(_key(name), name.strip())


def loose_keys(name: str) -> set[str]:
    """Return what a name of several parts may mean, without punctuation.

    ``CD274|29126`` (TCGA), ``ENSG00000120217.14_CD274`` (RSEM), ``CD274 (29126)`` (DepMap), and what R makes of names
    that it does not take: ``HLA.DRA``, ``X29126``.
    """
    text = name.strip().upper()
    if not text or text[0] == "\0":  # hidden
        return set()
    parts = [text, *text.split("|")]
    if composite := _COMPOSITE.match(text):
        parts += [part for part in composite.groups() if part]
    keys = {_plain(_key(part)) for part in parts}
    return (keys | {key[1:] for key in keys if key[:1] == "X" and key[1:].isdigit()}) - {""}


def known_gene(name: str) -> bool:
    """Tell whether a name is, or holds, that of a marker gene."""
    return any(key in _PLAIN_SYMBOLS for key in loose_keys(name))


def mangled(available: Sequence[str]) -> list[str]:
    """List names that a spreadsheet turned into dates (1-Mar for MARCHF1): which gene was meant is lost."""
    names = [str(name).strip() for name in available]
    found = [match.group() for match in _DATE.finditer("\n".join(names))]
    numbers = [name for name in names if name.isdigit()]
    if len(numbers) > 0.1 * len(names):  # NCBI numbers
        return found
    return [*found, *(name for name in numbers if _SERIAL.match(name))]


def has_control_probes(available: Sequence[str]) -> bool:
    """Tell a NanoString panel by its positive and negative control probes."""
    return _CONTROL.search("\n".join(map(str, available))) is not None


def is_gene(name: object) -> bool:
    """Tell genes from the summary rows and control probes that tools write between them."""
    return not _NO_GENE.match(str(name))


def no_genes(available: Sequence[str]) -> list[int]:
    """Return the places of names that are no genes; see :func:`is_gene`."""
    if not _NO_GENE.search("\n".join(map(str, available))):  # one pass over all of them is quick
        return []
    return [i for i, name in enumerate(available) if not is_gene(name)]


def mangled_note(available: Sequence[str]) -> list[str]:
    """Say how many names became dates, and name the first."""
    found = mangled(available)
    if not found:
        return []
    return [f"{len(found)} gene names were turned into dates by a spreadsheet ({', '.join(found[:3])}): they are lost"]


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
    if names[0] in ("0", "1") and names == [str(int(names[0]) + i) for i in range(len(names))]:
        raise DataError(
            "the matrix has no gene names, only positions", where=where, seen=f"{names[0]}, {names[1:2]}..."
        )


def refuse_twins(available: Sequence[str], found: Mapping[str, GeneMatch], where: object) -> None:
    """Refuse a wanted gene beside a numbered one of its name (``CD274`` and ``CD274-1``): one of them may be protein.

    Programs number the second of two columns of one name. Antibodies and genes of CITE-seq share names; which of the
    two is RNA is not told by the names.

    Raises
    ------
    DataError
        So it is.
    """
    names = set(map(str, available))
    for gene, match in found.items():
        for name in match.names:
            twins = [f"{name}{end}" for end in ("-1", ".1", "_1") if f"{name}{end}" in names]
            if twins:
                raise DataError(
                    f"two columns are {gene}: which of them is RNA?", where=where, seen=f"{name} and {twins[0]}",
                    hint="Say it in var (a column feature_types: Gene Expression, Antibody Capture), or leave one out.",
                )  # fmt: skip


def _match(symbol: str, by_key: Mapping[str, tuple[int, ...]], available: Sequence[str]) -> GeneMatch | None:
    aliases, ensembl, entrez = GENES.get(symbol, ((), "", ""))
    rules = [("symbol", symbol), ("Ensembl", ensembl), *(("alias", alias) for alias in aliases), ("NCBI Gene", entrez)]
    for rule, name in rules:
        columns = by_key.get(_key(name), ()) if name else ()
        if columns:
            names = tuple(str(available[column]) for column in columns)
            words = rule if rule != "symbol" or names[0] == symbol else "symbol, other case"
            return GeneMatch(symbol, tuple(columns), names, words)
    return None


def probe_hint(available: Sequence[str]) -> str | None:
    """Return a hint when the names are a microarray's probe sets."""
    probes = sum(bool(_PROBE.match(str(name).strip())) for name in available[:2000])
    if probes > 0.5 * min(len(available), 2000):
        return "These are a microarray's probe sets: collapse them to genes first."
    return None


def _by_key(names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Columns of every name; one tuple a name, and not one list, which the collector would walk again and again."""
    by_key: dict[str, tuple[int, ...]] = {}
    keys = _keys(names)
    if len(set(keys)) == len(keys):
        return dict(zip(keys, zip(range(len(keys))), strict=True))
    for column, key in enumerate(keys):
        by_key[key] = (*by_key[key], column) if key in by_key else (column,)
    return by_key


def _keys(names: Sequence[str]) -> list[str]:
    """Return the key of every name; plain symbols, as most are, at once."""
    text = "\n".join(map(str, names)).upper()
    keys = [key.strip() for key in text.split("\n")]
    if len(keys) != len(names) or "ENSG" in text or ".0" in text:
        return [_key(name) for name in names]
    return keys


def _key(name: object) -> str:
    text = str(name).strip().upper()
    if text.startswith("ENSG") and (ensembl := _ENSEMBL.match(text)):
        return ensembl.group(1)
    return text[:-2] if text.endswith(".0") and text[:-2].isdigit() else text  # an NCBI number that was a float


def _plain(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", name.upper())


_SYMBOLS: Final = {
    _key(name): symbol
    for symbol, (aliases, ensembl, entrez) in GENES.items()
    for name in (*aliases, ensembl, entrez, symbol)
}
_PLAIN_SYMBOLS: Final = frozenset(_plain(name) for name in _SYMBOLS)
