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
_CODES: Mapping[str, str] = {word.casefold(): word for word in RESPONSES}
_NOT_RECIST: Mapping[str, str] = {
    "non cr non pd": "Non-CR/non-PD is for disease without target lesions: decide whether it is SD or NE here.",
    "mixed response": "A mixed response is none of the five: decide by the sums of diameters (derive_responses does).",
    "mr": "A minor or mixed response is none of the five: by RECIST 1.1 it is SD or PD.",
    "upr": "An unconfirmed PR counts by the protocol: write PR or SD.",
    "ucr": "An unconfirmed CR counts by the protocol: write CR, PR or SD.",
    "pr unconfirmed": "An unconfirmed PR counts by the protocol: write PR or SD.",
    "cr unconfirmed": "An unconfirmed CR counts by the protocol: write CR, PR or SD.",
    "unconfirmed pr": "An unconfirmed PR counts by the protocol: write PR or SD.",
    "unconfirmed cr": "An unconfirmed CR counts by the protocol: write CR, PR or SD.",
    **dict.fromkeys(
        ("unknown", "unk", "not available", "missing", "not done", "nd"),
        "Write NE when the patient was not evaluable, and leave the cell empty when nothing was recorded.",
    ),
    **dict.fromkeys(
        ("icr", "ipr", "isd", "iupd", "icpd"),
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
    blank = np.array([key == "" for key in keys], dtype=bool)
    unknown = [i for i, key in enumerate(keys) if key and key not in _WORDS]
    if unknown:
        _refuse_words(words, keys, unknown, where)
    found = [np.nan if gone else _WORDS[key] for key, gone in zip(keys, missing | blank, strict=True)]
    return pd.Series(found, index=words.index, name=words.name, dtype=object)


def respond(
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
        non_responders=["NR"]``. Then no other word may occur.
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
    >>> found = bm.respond(["CR", "PR", "SD", "PD", "NE"])
    >>> found.responder.tolist()
    [True, True, False, False]
    """
    if not_evaluable not in ("exclude", "nonresponder"):
        raise UsageError("not_evaluable", seen=not_evaluable, allowed=("exclude", "nonresponder"))
    if non_responders is not None:
        return _respond_binary(responses, responders=responders, non_responders=non_responders, where=where)
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
    responses: Iterable[Any], *, responders: Sequence[str], non_responders: Sequence[str], where: object
) -> Responders:
    words = responses if isinstance(responses, pd.Series) else pd.Series(list(responses), dtype=object)
    sides = {_binary_key(word): True for word in responders}
    for word in non_responders:
        if sides.setdefault(_binary_key(word), False):
            raise UsageError("a word is both response and no response", seen=word)
    missing = words.isna().to_numpy()
    keys = [None if gone else _binary_key(word) for word, gone in zip(words, missing, strict=True)]
    unknown = [i for i, key in enumerate(keys) if key is not None and key not in sides]
    if unknown:
        raise DataError(
            "a word that is neither response nor no response",
            where=f"{where} {row_names(words, unknown)}",
            seen=str(words.iloc[unknown[0]]),
            allowed=(*map(str, responders), *map(str, non_responders)),
        )
    counts = {str(word): sum(key == _binary_key(word) for key in keys) for word in (*responders, *non_responders)}
    counts["missing"] = int(missing.sum())
    left_out = pd.Series("missing", index=words.index[missing], dtype=object)
    return Responders(
        responder=pd.Series([sides[key] for key in keys if key is not None], index=words.index[~missing], dtype=bool),
        left_out=left_out,
        counts=counts,
        definition=_definition([str(w) for w in responders], [str(w) for w in non_responders], left_out, counts),
    )


def _definition(yes: list[str], no: list[str], left_out: pd.Series, counts: Mapping[str, int]) -> str:
    def named(words: list[str]) -> str:
        return " + ".join(f"{word} {counts[word]}" for word in words)

    text = f"response = {named(yes)}; no response = {named(no)}"
    gone = [f"{word} {count}" for word, count in left_out.value_counts().sort_index().items()]
    return f"{text}; left out: {', '.join(gone)}" if gone else f"{text}; nobody left out"


def _key(word: object) -> str:
    """Lower case, single spaces, no punctuation: what is left of a word when typing habits are taken away."""
    return re.sub(r"[^a-z0-9]+", " ", str(word).casefold().replace("\u00a0", " ")).strip()


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
    hint = _NOT_RECIST.get(first) or did_you_mean(first, _WORDS)
    also = f"Also unknown: {', '.join(others[:5])}." if others else None
    raise DataError(
        "not a response word",
        where=f"{where} {row_names(words, same)}",
        seen=str(words.iloc[unknown[0]]),
        allowed=RESPONSES,
        hint=" ".join(part for part in (hint, also) if part) or None,
    )
