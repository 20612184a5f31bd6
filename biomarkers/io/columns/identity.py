"""Identifiers that look alike: one patient under two spellings, or two patients; never decided by a guess."""

from __future__ import annotations

import re
from collections.abc import Iterable

from biomarkers.core.errors import DataError

# TCGA barcode of a sample, and the suffixes by which samples of one patient are told apart
_TCGA = re.compile(r"(TCGA[-.]\w{2}[-.]\w{4})[-.].+", re.IGNORECASE)
_SAMPLE = re.compile(
    r"(?P<stem>.*\w)[ _.-]+(pre|post|baseline|bl|ont?|on[ _-]?treatment|screening|scr|eot|tumou?r|normal|blood|"
    r"germline|biopsy|met|primary|t|n|c\d+d\d+)",
    re.IGNORECASE,
)


def loose_form(name: str) -> str:
    """Return an identifier without case, blanks, dashes and leading zeros; a dash between numbers parts them.

    Examples
    --------
    >>> loose_form("P-01") == loose_form("p1 "), loose_form("1-10") == loose_form("11-0")
    (True, False)
    """
    parts = re.findall(r"[^\W\d_]+|\d+", name.casefold())
    return "\x1f".join(part.lstrip("0") or "0" if part.isdigit() else part for part in parts)


def near_misses(left: Iterable[str], right: Iterable[str]) -> dict[str, str]:
    """Pairs of identifiers that differ only by case, padding, punctuation or leading zeros.

    Parameters
    ----------
    left, right
        Identifiers without a partner on the other side.

    Returns
    -------
    Left identifier -> the right one it resembles.

    Examples
    --------
    >>> near_misses(["P-01", "x"], ["p1 ", "y"])
    {'P-01': 'p1 '}
    """
    known = {loose_form(name): name for name in right}
    return {name: known[loose_form(name)] for name in left if loose_form(name) in known}


def alike(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return groups of identifiers that differ only by case, blanks, dashes, zeros or a sample suffix.

    Examples
    --------
    >>> alike(["P01", "p1", "P02"]), alike(["TCGA-AB-1234-01A", "TCGA-AB-1234-06A"])
    ([('P01', 'p1')], [('TCGA-AB-1234-01A', 'TCGA-AB-1234-06A')])
    """
    distinct = list(dict.fromkeys(names))
    groups: dict[str, list[str]] = {}
    for name in distinct:
        groups.setdefault(_patient_form(name), []).append(name)
    joined: dict[str, list[str]] = {}
    for name in distinct:  # 001-004 beside 001004: the dash alone differs
        joined.setdefault("".join(re.findall(r"[^\W_]+", name.casefold())), []).append(name)
    found = [tuple(group) for group in groups.values() if len(group) > 1]
    seen = {name for group in found for name in group}
    for group in joined.values():
        bare = [name for name in group if re.fullmatch(r"[^\W_]+", name.strip())]
        if len(group) > 1 and bare and not seen & set(group):
            found.append(tuple(group))
    return found


def look_alikes(names: Iterable[str], *, shown: int = 4) -> str:
    """Say which identifiers of one table differ only by case, padding, punctuation or zeros; empty when none do.

    Examples
    --------
    >>> look_alikes(["P01", "p1", "P02"])
    "identifiers that differ only by case, padding or zeros count as different patients: 'P01' and 'p1'"
    """
    found = [" and ".join(map(repr, same)) for same in alike(names)]
    if not found:
        return ""
    more = f" and {len(found) - shown} more" if len(found) > shown else ""
    return (
        "identifiers that differ only by case, padding or zeros count as different patients: "
        f"{'; '.join(found[:shown])}{more}"
    )


def refuse_look_alikes(names: Iterable[str], *, where: str, shown: int = 4) -> None:
    """Refuse identifiers that may be one patient under two spellings.

    Raises
    ------
    DataError
        Two identifiers differ only by case, blanks, dashes, zeros or a sample suffix; the message names them.
    """
    found = alike(names)
    if not found:
        return
    pairs = [" and ".join(map(repr, group)) for group in found]
    more = f" and {len(found) - shown} more" if len(found) > shown else ""
    raise DataError(
        "identifiers look alike: is one patient here under two spellings?",
        where=where,
        seen=f"{'; '.join(pairs[:shown])}{more}",
        hint='Spell one patient one way; or write look_alikes = "distinct" in the file of --columns (columns=) when '
        "they are different patients.",
    )


def _patient_form(name: str) -> str:
    """Loose form of the patient that an identifier is of: without a sample's suffix."""
    if match := _TCGA.fullmatch(name.strip()):
        return loose_form(match[1])
    match = _SAMPLE.fullmatch(name.strip())
    return loose_form(match["stem"] if match else name)
