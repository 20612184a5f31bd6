"""Epitope masking: on treatment an anti-PD-L1 drug may cover the PD-L1 that the assay looks for (and PD-1 likewise)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from biomarkers.core.errors import did_you_mean

# antibody -> the other names it goes by
ANTI_PD_L1: Mapping[str, tuple[str, ...]] = {
    "atezolizumab": ("tecentriq", "mpdl3280a", "atezo"),
    "durvalumab": ("imfinzi", "medi4736", "durva"),
    "avelumab": ("bavencio", "msb0010718c"),
    "envafolimab": ("kn035",),
    "sugemalimab": ("cs1001",),
    "adebrelimab": ("shr1316",),
    "cosibelimab": ("ck301", "unloxcyt"),
    "benmelstobart": ("tqb2450",),
    "socazolimab": (),
    "tagitanlimab": (),
}
ANTI_PD_1: Mapping[str, tuple[str, ...]] = {
    "nivolumab": ("opdivo", "opdualag", "bms936558", "nivo"),
    "pembrolizumab": ("keytruda", "mk3475", "lambrolizumab", "pembro"),
    "cemiplimab": ("libtayo", "regn2810"),
    "dostarlimab": ("jemperli", "tsr042"),
    "tislelizumab": ("tevimbra", "bgba317"),
    "toripalimab": ("loqtorzi", "js001"),
    "sintilimab": ("tyvyt", "ibi308"),
    "camrelizumab": ("shr1210",),
    "retifanlimab": ("zynyz",),
    "penpulimab": (),
    "zimberelimab": (),
    "serplulimab": (),
    "spartalizumab": ("pdr001",),
    "cadonilimab": ("ak104",),
    "ivonescimab": ("ak112",),
}
_PROTEIN = {"PD-L1": ("pdl1", "b7h1"), "PD-1": ("pd1",)}
_DRUGS = {"PD-L1": ANTI_PD_L1, "PD-1": ANTI_PD_1}
_PD_L1_SCORES = {"tps", "cps", "22c3", "sp142", "sp263"}  # scores and clones that there are of PD-L1 only
_CD_NAMES = {"PD-L1": "cd274", "PD-1": "cd279"}
_STAINED = {"ihc", "mif", "if", "protein", "hscore", "score", "density", "tps", "cps", "stain", "staining", "membrane"}
_MESSENGER = {"rna", "mrna", "rnaseq", "tpm", "fpkm", "rpkm", "cpm", "counts", "nanostring", "transcript", "expression"}


def masking_notes(markers: Mapping[str, str], assays: Mapping[str, str], drug: str | None) -> list[str]:
    """Warn where an on-treatment protein level may be masked by the drug itself.

    Parameters
    ----------
    markers, assays
        Marker and assay of each biomarker. A column of a plain table is read by its name (``PDL1_TPS``); gene names
        (CD274, PDCD1) and names with a unit of expression are transcripts and cannot be masked.
    drug
        The treatment by its generic, brand or code name, or None when it was not said.

    Returns
    -------
    One note a target, naming the biomarkers at risk; when the drug was not said or is not known, one note that says
    that nothing was judged.

    Examples
    --------
    >>> masking_notes({"PDL1_TPS": "PDL1_TPS"}, {}, "Tecentriq")[0][:51]
    'PDL1_TPS: atezolizumab binds PD-L1 and may mask its'
    """
    at_risk = {
        target: [name for name, marker in markers.items() if _is_protein(target, name, marker, assays.get(name, ""))]
        for target in _PROTEIN
    }
    everything = ", ".join(dict.fromkeys(name for names in at_risk.values() for name in names))
    if not everything:
        return []
    if drug is None:
        return [f"the drug was not named: whether it masks the epitope of {everything} on treatment is not judged"]
    given = {target: _antibody(target, drug) for target in _PROTEIN}
    if not any(given.values()):
        known = [name for drugs in _DRUGS.values() for name in drugs]
        hint = did_you_mean(drug.casefold(), known)
        return [
            f"{drug.strip()!r} is not known as an antibody against PD-1 or PD-L1: whether it masks the epitope of "
            f"{everything} on treatment is not judged" + (f". {hint}" if hint else "")
        ]
    return [
        f"{', '.join(names)}: {given[target]} binds {target} and may mask its epitope on treatment: a fall can be the "
        "drug, not biology; compare with the transcript or an assay against another epitope"
        for target, names in at_risk.items()
        if names and given[target]
    ]


def _antibody(target: str, drug: str) -> str:
    """Name the antibody against a target that a treatment holds; empty when it holds none that is known."""
    words = _plain(drug)
    for name, others in _DRUGS[target].items():
        if any(word in words for word in (name, *others)):
            return name
    return drug.strip() if f"anti{_plain(target)}" in words else ""


def _is_protein(target: str, biomarker: str, marker: str, assay: str) -> bool:
    """Say whether a biomarker is the stained protein of a target, and not its transcript."""
    parts = {_plain(part) for part in re.split(r"[\s_.:;,()\[\]/%|]+", f"{biomarker} {marker} {assay}".casefold())}
    if parts & _MESSENGER or any(word in _plain(assay) for word in ("rna", "tpm", "cpm", "nanostring")):
        return False
    plain = f"{_plain(biomarker)} {_plain(marker)}"
    if any(word in plain for word in _PROTEIN[target]):
        return True
    if _CD_NAMES[target] in plain and parts & _STAINED:
        return True
    return target == "PD-L1" and marker == biomarker and bool(parts & _PD_L1_SCORES) and "pd1" not in plain


def _plain(word: str) -> str:
    return "".join(sign for sign in word.casefold() if sign.isalnum())
