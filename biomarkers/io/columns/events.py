"""Times to an event: which value means that it happened, and in which unit the time stands; neither is guessed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError, UsageError
from biomarkers.io.columns.cells import cell_word, cell_words, refuse_rows, row_names

# names that say the opposite of an event, or say it in one data set and the opposite in the next
_OPPOSITE = re.compile(
    r"cnsr|cens|zensier|alive|living|surviv|lebt|lebend|berleb|vivant|en[ _.-]?vie|free(?!dom)|frei(?![a-z])|"
    r"sans[ _.-]?(progress|r.cidive|.v.nement)|"
    r"(?<![a-z])(no|not|non|nicht|kein)[ _.-]?(event|progress|relapse|recur|death|dead|died|verstorben|tot|rezidiv)|"
    r"ltfu|lost[ _.-]?to",
    re.IGNORECASE,
)
_PLAIN: Final = frozenset({"0", "1", "true", "false"})
_CODES: Final[tuple[tuple[frozenset[str], str], ...]] = (
    (frozenset({"1", "2"}), "R's survival package writes 1 = censored, 2 = event; others the reverse"),
    (frozenset({"1:deceased", "0:living"}), "the profile cbioportal reads such columns: --columns cbioportal"),
    (frozenset({"dead", "alive", "deceased", "living"}), "is death the event?"),
)


def says_opposite(name: str) -> bool:
    """Whether a column's name says censored or alive, so that 1 may be either.

    Examples
    --------
    >>> says_opposite("CNSR"), says_opposite("ereignisfrei"), says_opposite("not_progressed"), says_opposite("os_event")
    (True, True, True, False)
    """
    return bool(_OPPOSITE.search(name))


def read_events(
    values: pd.Series,
    name: str,
    *,
    where: str,
    event_when: Sequence[str] = (),
    censored_when: Sequence[str] = (),
) -> pd.Series:
    """Read whether the event happened: 1.0, 0.0, or NaN where the cell is empty.

    Parameters
    ----------
    values
        The cells.
    name
        The column.
    where
        Table for messages.
    event_when
        Values that mean "it happened". Without them only 1/0 and TRUE/FALSE are read, and only where the column's
        name does not say the opposite.
    censored_when
        Values that mean "censored"; without them the one other value of the column.

    Raises
    ------
    UsageError
        The polarity has to be stated.
    DataError
        A cell holds a value that is neither; the message names its row.

    Examples
    --------
    >>> cells = pd.Series([0, 3, None])
    >>> read_events(cells, "CNSR", where="t", event_when=["0"], censored_when=["1", "2", "3"]).tolist()
    [1.0, 0.0, nan]
    """
    words = cell_words(values)
    known = [word for word in dict.fromkeys(words) if isinstance(word, str)]
    if not event_when:
        if set(known) <= _PLAIN and not says_opposite(name):
            return words.map({"1": 1.0, "true": 1.0, "0": 0.0, "false": 0.0}).astype(float)
        if not known:
            return words.astype(float)
        _ask(known, name, words, where)
    happened, censored = ({cell_word(word) for word in stated} for stated in (event_when, censored_when))
    if not censored:
        others = [word for word in known if word not in happened]
        if known and not happened & set(known) and not set(known) <= {"0", "false"}:
            raise UsageError(
                f"no cell of {name!r} has a value that means the event happened",
                where=f"{where} column {name!r}",
                seen=", ".join(sorted(known)[:8]),
                allowed=sorted(happened),
                hint="State the polarity, e.g. os=TIME:EVENT:1:months when 1 is death and months are the unit.",
            )
        if len(others) > 1:
            raise UsageError(
                f"event column {name!r} holds more than two values",
                where=f"{where} column {name!r}",
                seen=", ".join(known[:8]),
                hint=f"State which are censored too: --censored-when '{name}={'|'.join(others[:6])}' (censored_when); "
                "a code for competing events must be decided first.",
            )
        censored = set(others)
    wrong = words.notna().to_numpy() & ~words.isin(happened | censored).to_numpy()
    refuse_rows(
        values, wrong, f"event column {name!r} holds a value that is neither event nor censored",
        where=f"{where} column {name!r}", allowed=f"event {sorted(happened)}, censored {sorted(censored)}",
    )  # fmt: skip
    made = np.where(words.isin(happened), 1.0, 0.0)
    return pd.Series(np.where(words.isna(), np.nan, made), index=values.index, name=values.name)


def _ask(known: list[str], name: str, words: pd.Series, where: str) -> None:
    shown = ", ".join(known[:8])
    odd = [word for word in known if word not in _PLAIN]
    meant = next((text for codes, text in _CODES if set(known) <= codes), "")
    first, last = sorted(known)[0], sorted(known)[-1]
    line = f"--event-when '{name}={first}' (event_when=) when {first!r} means that it happened"
    line += f", '{name}={last}' when {last!r} does" if last != first else ""
    line += f" (and --censored-when '{name}=...' for the others)" if len(known) > 2 else ""
    if {"0", "1"} <= set(known) and len(odd) == 1 and not says_opposite(name):  # one strange cell among 0 and 1
        bad = [int(i) for i in np.flatnonzero((words == odd[0]).to_numpy())]
        raise DataError(
            f"column {name!r} must hold 1 (the event was seen) or 0 (censored)",
            where=f"{where} column {name!r} {row_names(words, bad)}",
            seen=words.iloc[bad[0]],
            hint=f"Or say which value means that the event happened: {line}.",
        )
    why = (
        "its name says censored, free of an event or alive: in some data sets 1 is the event, in others 0 is"
        if says_opposite(name)
        else "which value means that the event happened is not stated"
    )
    hint = f"State it: {line}; or event_when = [...] of the end point in the file of --columns."
    raise UsageError(
        f"event column {name!r}: {why}",
        where=f"{where} column {name!r}",
        seen=shown,
        hint=f"{hint} Note: {meant}." if meant else hint,
    )


def check_not_negative(months: pd.Series, name: str, *, where: str) -> None:
    """Refuse a negative time; 0 is a time (death or loss on the first day).

    Raises
    ------
    DataError
        A time is below 0.
    """
    refuse_rows(
        months, months.to_numpy(dtype=float) < 0, f"column {name!r} holds a negative time", allowed="0 or more",
        where=f"{where} column {name!r}",
        hint="A date of event before the start? Correct it, or leave the cell empty when there is no follow-up.",
    )  # fmt: skip
