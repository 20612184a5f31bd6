"""Response words -> CR, PR, SD, PD, NE, and those -> responder or not by a definition that is printed every time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from biomarkers.cohort.tables import row_names
from biomarkers.core.errors import DataError, UsageError, did_you_mean
from biomarkers.core.keys import CR, NE, PD, PR, RESPONSES, SD

NotEvaluable = Literal["exclude", "nonresponder"]

_WORDS: Mapping[str, str] = {
    "cr": CR,
    "ccr": CR,
    "confirmed cr": CR,
    "cr confirmed": CR,
    "complete response": CR,
    "confirmed complete response": CR,
    "complete remission": CR,
    "complete responder": CR,
    "pr": PR,
    "cpr": PR,
    "confirmed pr": PR,
    "pr confirmed": PR,
    "partial response": PR,
    "confirmed partial response": PR,
    "partial remission": PR,
    "partial responder": PR,
    "sd": SD,
    "stable disease": SD,
    "stable": SD,
    "no change": SD,
    "pd": PD,
    "progressive disease": PD,
    "progression": PD,
    "progressed": PD,
    "disease progression": PD,
    "ne": NE,
    "not evaluable": NE,
    "non evaluable": NE,
    "nonevaluable": NE,
    "unevaluable": NE,
    "inevaluable": NE,
    "not evaluated": NE,
    "not assessable": NE,
    "not assessed": NE,
}
_BLANKS = frozenset("-–—_.")  # cells of nothing else are left empty by habit; any other sign is a word
_MARKED = re.compile(r"^\(?\s*(cr|pr|sd|pd|ne)\s*\)?\s*[?*†‡§#^]*$|^[?*†‡§#^]+\s*(cr|pr|sd|pd|ne)$", re.IGNORECASE)
_SURE = re.compile(r"[^()?*†‡§#^]*")
_LONG = 6  # letters from which a word may be a misspelt one
_CODES: Mapping[str, str] = {word.casefold(): word for word in RESPONSES}
_NOT_RECIST: Mapping[str, str] = {
    "non cr non pd": "Non-CR/non-PD is for disease without target lesions: decide whether it is SD or NE here.",
    **dict.fromkeys(
        ("ned", "no evidence of disease"),
        "No evidence of disease is CR where targets were there at baseline, and NE where none were: decide on a map.",
    ),
    **dict.fromkeys(
        ("vgpr", "very good partial response", "ncr", "near complete response", "near cr", "ncr pr"),
        "That is a response word of myeloma or of another guideline, none of RECIST: decide whether it is PR here.",
    ),
    **dict.fromkeys(
        (
            "pcr",
            "pathologic complete response",
            "pathological complete response",
            "mpr",
            "major pathologic response",
            "major pathological response",
            "cpr pcr",
        ),
        "That is a pathologic response in resected tissue, none of RECIST: relate it as a yes/no column (responders, "
        "non_responders).",
    ),
    **dict.fromkeys(
        ("cmr", "pmr", "smd", "pmd", "sf", "cmr pmr"),
        "That is a metabolic response (PERCIST, Lugano), none of RECIST 1.1: decide on a map.",
    ),
    **dict.fromkeys(
        ("dcb", "ndb", "durable clinical benefit", "no durable benefit", "cb", "ncb", "lb"),
        "Clinical benefit is no best response: name its words with responders and non_responders.",
    ),
    "mixed response": "A mixed response is none of the five: decide by the sums of diameters (derive_responses does).",
    "mr": "A minor or mixed response is none of the five: by RECIST 1.1 it is SD or PD.",
    "upr": "An unconfirmed PR counts by the protocol: write PR or SD.",
    "ucr": "An unconfirmed CR counts by the protocol: write CR, PR or SD.",
    "pr unconfirmed": "An unconfirmed PR counts by the protocol: write PR or SD.",
    "cr unconfirmed": "An unconfirmed CR counts by the protocol: write CR, PR or SD.",
    "unconfirmed pr": "An unconfirmed PR counts by the protocol: write PR or SD.",
    "unconfirmed cr": "An unconfirmed CR counts by the protocol: write CR, PR or SD.",
    **dict.fromkeys(
        ("unknown", "unk", "not available", "missing", "not done", "nd", "inevaluable unknown", "not applicable"),
        "Write NE when the patient was not evaluable, and leave the cell empty when nothing was recorded.",
    ),
    **dict.fromkeys(
        ("icr", "ipr", "isd", "iupd", "icpd", "ircr", "irpr", "irsd", "irpd"),
        "This is an iRECIST word: derive RECIST 1.1 responses, or decide on a map.",
    ),
    **dict.fromkeys(
        ("responder", "non responder", "nonresponder", "r", "nr", "yes", "no", "1", "0", "true", "false"),
        "This column is already binary: name its words with responders and non_responders.",
    ),
}


@dataclass(frozen=True)
class Responders:
    """Who counts as a responder, who was left out, and the words that say so.

    Attributes
    ----------
    responder
        True or False for each patient that counts; index as in the input, patients left out are absent.
    left_out
        The response word (or ``missing``) of each patient that does not count, same index labels.
    counts
        How many patients each response word has, ``missing`` among them.
    definition
        One line to print with every result.
    """

    responder: pd.Series
    left_out: pd.Series
    counts: Mapping[str, int]
    definition: str

    @property
    def n(self) -> int:
        """Number of patients that count."""
        return len(self.responder)

    @property
    def n_responders(self) -> int:
        """Number of responders."""
        return int(self.responder.sum())


def normalise_responses(values: Iterable[Any], *, where: object = "response") -> pd.Series:
    """Turn response words into CR, PR, SD, PD or NE.

    Case, padding, punctuation and the usual long forms do not matter: ``"PR "``, ``pr``, ``Partial Response``,
    ``PR - partial response`` are PR. A word that is not known stops; it never becomes a non-responder. A missing cell
    stays missing.

    Parameters
    ----------
    values
        The words, as a Series (its index is kept and names the rows in messages) or any sequence.
    where
        File and column for messages.

    Raises
    ------
    DataError
        A word is none of the five; the message names its rows.

    Examples
    --------
    >>> import biomarkers as bm
    >>> bm.normalise_responses(["Partial Response", "pd", "NE"]).tolist()
    ['PR', 'PD', 'NE']
    """
    words = values if isinstance(values, pd.Series) else pd.Series(list(values), dtype=object)
    missing = words.isna().to_numpy()
    keys = ["" if gone else _one_form(_key(word)) for word, gone in zip(words, missing, strict=True)]
    blank = np.array([gone or _is_blank(word) for word, gone in zip(words, missing, strict=True)], dtype=bool)
    doubtful = [i for i, gone in enumerate(blank) if not gone and _is_marked(words.iloc[i])]
    if doubtful:
        _refuse_marks(words, doubtful, where)
    unknown = [i for i, key in enumerate(keys) if not blank[i] and key not in _WORDS]
    if unknown:
        _refuse_words(words, keys, unknown, where)
    found = [np.nan if gone else _WORDS[key] for key, gone in zip(keys, missing | blank, strict=True)]
    return pd.Series(found, index=words.index, name=words.name, dtype=object)


def classify_response(
    responses: Iterable[Any],
    *,
    responders: Sequence[str] = (CR, PR),
    not_evaluable: NotEvaluable = "exclude",
    non_responders: Sequence[str] | None = None,
    where: object = "response",
) -> Responders:
    """Say who is a responder.

    Parameters
    ----------
    responses
        Response words (see :func:`normalise_responses`), or any words when ``non_responders`` is given.
    responders
        The words that count as response. ``("CR", "PR", "SD")`` is disease control.
    not_evaluable
        What NE is: left out, or a non-responder (as in an objective response rate over all treated).
    non_responders
        For a column that is already binary: the words that count as no response, e.g. ``responders=["R"],
        non_responders=["NR"]``. Then no other word may occur, but NE, which is what ``not_evaluable`` says.
    where
        File and column for messages.

    Raises
    ------
    DataError
        A word is not known; the message names its rows.
    UsageError
        ``responders`` or ``not_evaluable`` holds something else than is allowed.

    Examples
    --------
    >>> import biomarkers as bm
    >>> found = bm.classify_response(["CR", "PR", "SD", "PD", "NE"])
    >>> found.responder.tolist()
    [True, True, False, False]
    """
    if not_evaluable not in ("exclude", "nonresponder"):
        raise UsageError("not_evaluable", seen=not_evaluable, allowed=("exclude", "nonresponder"))
    if non_responders is not None:
        return _respond_binary(
            responses, responders=responders, non_responders=non_responders, not_evaluable=not_evaluable, where=where
        )
    yes = [_WORDS.get(_key(word), str(word)) for word in responders]
    if not yes or not set(yes) <= {CR, PR, SD, PD}:
        raise UsageError("responders", seen=", ".join(map(str, responders)), allowed=(CR, PR, SD, PD))
    words = normalise_responses(responses, where=where)
    counts = {word: int((words == word).sum()) for word in RESPONSES}
    counts["missing"] = int(words.isna().sum())
    out = words.isna() | ((words == NE) if not_evaluable == "exclude" else False)
    no = [word for word in (CR, PR, SD, PD) if word not in yes] + ([NE] if not_evaluable == "nonresponder" else [])
    left_out = words[out].fillna("missing")
    return Responders(
        responder=words[~out].isin(yes).astype(bool),
        left_out=left_out,
        counts=counts,
        definition=_definition(yes, no, left_out, counts),
    )


def _respond_binary(
    responses: Iterable[Any],
    *,
    responders: Sequence[str],
    non_responders: Sequence[str],
    not_evaluable: NotEvaluable,
    where: object,
) -> Responders:
    words = responses if isinstance(responses, pd.Series) else pd.Series(list(responses), dtype=object)
    sides = {_binary_key(word): True for word in responders}
    for word in non_responders:
        if sides.setdefault(_binary_key(word), False):
            raise UsageError("a word is both response and no response", seen=word)
    missing = words.isna().to_numpy()
    keys = [None if gone else _binary_key(word) for word, gone in zip(words, missing, strict=True)]
    unseen = np.array(
        [key is not None and key not in sides and _WORDS.get(_key(key)) == NE for key in keys], dtype=bool
    )
    unknown = [i for i, key in enumerate(keys) if key is not None and key not in sides and not unseen[i]]
    if unknown:
        raise DataError(
            "a word that is neither response nor no response",
            where=f"{where} {row_names(words, unknown)}",
            seen=str(words.iloc[unknown[0]]),
            allowed=(*map(str, responders), *map(str, non_responders), "NE (not evaluable)"),
            hint=f"Name it with responders or non_responders, or under [words] in the file of --columns: "
            f'"{words.iloc[unknown[0]]}" = "NE".',
        )
    counts = {str(word): sum(key == _binary_key(word) for key in keys) for word in (*responders, *non_responders)}
    if unseen.any():
        counts[NE] = int(unseen.sum())
    counts["missing"] = int(missing.sum())
    no = [str(word) for word in non_responders]
    if unseen.any() and not_evaluable == "nonresponder":
        sides |= {str(keys[i]): False for i in np.flatnonzero(unseen)}
        no, unseen = [*no, NE], np.zeros(len(keys), dtype=bool)
    out = missing | unseen
    reasons = [NE if gone else "missing" for gone in unseen[out]]
    left_out = pd.Series(reasons, index=words.index[out], dtype=object)
    return Responders(
        responder=pd.Series(
            [sides[str(key)] for key, gone in zip(keys, out, strict=True) if not gone],
            index=words.index[~out],
            dtype=bool,
        ),
        left_out=left_out,
        counts=counts,
        definition=_definition([str(w) for w in responders], no, left_out, counts),
    )


def _definition(yes: list[str], no: list[str], left_out: pd.Series, counts: Mapping[str, int]) -> str:
    def named(words: list[str]) -> str:
        return " + ".join(f"{word} {counts[word]}" for word in words)

    text = f"response = {named(yes)}; no response = {named(no)}"
    gone = [f"{word} {count}" for word, count in left_out.value_counts().sort_index().items()]
    return f"{text}; left out: {', '.join(gone)}" if gone else f"{text}; nobody left out"


def _key(word: object) -> str:
    """Lower case, single spaces, no punctuation: what is left of a word, in any alphabet, without typing habits."""
    return re.sub(r"[\W_]+", " ", str(word).casefold()).strip()


def _is_blank(word: object) -> bool:
    return all(sign in _BLANKS or sign.isspace() for sign in str(word))


def _is_marked(word: object) -> bool:
    """Whether a response word bears a question mark, a footnote's sign, or stands in brackets alone."""
    text = str(word).strip()
    return _MARKED.match(text) is not None and _SURE.fullmatch(text) is None


def _refuse_marks(words: pd.Series, doubtful: list[int], where: object) -> None:
    seen = str(words.iloc[doubtful[0]])
    same = [i for i in doubtful if str(words.iloc[i]) == seen]
    raise DataError(
        "a response word with a mark: doubt or footnote?",
        where=f"{where} {row_names(words, same)}",
        seen=seen,
        allowed=RESPONSES,
        hint="Write the word alone, or say under [words] in the file of --columns what it means: "
        f'"{seen.strip()}" = "...", with CR, PR, SD, PD, NE or nothing between the quotes.',
    )


def _one_form(key: str) -> str:
    """Reduce a code written beside its own long form (``Partial Response (PR)``), or letter by letter (``P.R.``).

    A code beside the words of another response is left as it is, and refused as no response word.
    """
    if key in _WORDS or not key:
        return key
    if (joined := key.replace(" ", "")) in _CODES:
        return joined
    words = key.split(" ")
    for code, rest in ((words[0], " ".join(words[1:])), (words[-1], " ".join(words[:-1]))):
        if code in _CODES and _WORDS.get(rest) == _CODES[code]:
            return code
    return key


def _binary_key(word: object) -> str:
    if isinstance(word, bool | np.bool_):
        return str(bool(word)).casefold()
    if isinstance(word, int | float | np.number) and float(word).is_integer():
        return str(int(word))
    return " ".join(str(word).split()).casefold()


def _refuse_words(words: pd.Series, keys: list[str], unknown: list[int], where: object) -> None:
    first = keys[unknown[0]]
    same = [i for i in unknown if keys[i] == first]
    others = sorted({str(words.iloc[i]) for i in unknown if keys[i] != first})
    # short words are never near: "ned" is not "ne", "vgpr" is not "pr"
    hint = _NOT_RECIST.get(first) or (
        did_you_mean(first, [w for w in _WORDS if len(w) >= _LONG]) if len(first) >= _LONG else None
    )
    also = f"Also unknown: {', '.join(others[:5])}." if others else None
    line = (
        f'Say what it means under [words] in the file of --columns (columns=): "{words.iloc[unknown[0]]}" = "...", '
        "with CR, PR, SD, PD, NE or nothing between the quotes."
    )
    raise DataError(
        "not a response word",
        where=f"{where} {row_names(words, same)}",
        seen=str(words.iloc[unknown[0]]),
        allowed=RESPONSES,
        hint=" ".join(part for part in (hint, line, also) if part),
    )
