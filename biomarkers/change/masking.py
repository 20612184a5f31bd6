"""Epitope masking: on treatment an anti-PD-L1 drug may cover the PD-L1 that the assay looks for (and PD-1 likewise)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

ANTI_PD_L1 = ("atezolizumab", "durvalumab", "avelumab", "envafolimab", "sugemalimab", "adebrelimab", "cosibelimab")
ANTI_PD_1 = (
    "nivolumab",
    "pembrolizumab",
    "cemiplimab",
    "dostarlimab",
    "tislelizumab",
    "toripalimab",
    "sintilimab",
    "camrelizumab",
    "retifanlimab",
)
_PD_L1 = ("pdl1", "b7h1")
_PD_1 = ("pd1",)
_MESSENGER = ("rna", "rnaseq", "tpm", "cpm", "counts", "nanostring")


def masking_notes(markers: Mapping[str, str], assays: Mapping[str, str], drug: str | None) -> list[str]:
    """Warn where an on-treatment protein level may be masked by the drug itself.

    Parameters
    ----------
    markers, assays
        Marker and assay of each biomarker; gene names (CD274, PDCD1) are transcripts and cannot be masked.
    drug
        The treatment, or None when it was not said.

    Returns
    -------
    One note a target, naming the biomarkers at risk; when the drug was not said, one note that asks for it.

    Examples
    --------
    >>> masking_notes({"PD-L1 tps": "PD-L1"}, {"PD-L1 tps": "22c3"}, "Atezolizumab")[0][:52]
    'PD-L1 tps: atezolizumab binds PD-L1 and may mask its'
    """
    sides = {
        "PD-L1": (_proteins(markers, assays, _PD_L1), ANTI_PD_L1),
        "PD-1": (_proteins(markers, assays, _PD_1), ANTI_PD_1),
    }
    at_risk = [name for names, _ in sides.values() for name in names]
    if drug is None:
        if not at_risk:
            return []
        return [
            f"the drug was not named: whether it masks the epitope of {', '.join(at_risk)} on treatment is not judged"
        ]
    words = _plain(drug)
    notes = []
    for target, (names, drugs) in sides.items():
        given = next((known for known in drugs if known in words), None)
        if given is None and f"anti{_plain(target)}" in words:
            given = drug.strip()
        if given is not None and names:
            notes.append(
                f"{', '.join(names)}: {given} binds {target} and may mask its epitope on treatment: a fall can be the "
                "drug, not biology; compare with the transcript or an assay against another epitope"
            )
    return notes


def _proteins(markers: Mapping[str, str], assays: Mapping[str, str], names: Sequence[str]) -> list[str]:
    found = []
    for biomarker, marker in markers.items():
        words = {_plain(marker), _plain(biomarker.split(" ")[0])}
        transcript = any(word in _plain(assays.get(biomarker, "")) for word in _MESSENGER)
        if words & set(names) and not transcript:
            found.append(biomarker)
    return found


def _plain(word: str) -> str:
    return "".join(sign for sign in word.casefold() if sign.isalnum())
