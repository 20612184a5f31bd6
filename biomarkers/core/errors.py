"""The package's own errors: what is wrong, where, the value seen, what is allowed, what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BiomarkersError(Exception):
    """Something the user can act on; the command line prints it without a traceback.

    Parameters
    ----------
    what
        What is wrong, one clause.
    where
        The file, row, column or channel.
    seen
        The value that was found.
    allowed
        What would have been accepted.
    hint
        What to do next.

    Examples
    --------
    >>> print(UsageError("no such assay", seen="22c4", allowed=["22c3", "sp142"]))
    no such assay; found '22c4'; allowed: 22c3, sp142
    """

    exit_code = 2

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        seen: object = None,
        allowed: object = None,
        hint: str | None = None,
    ) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.seen = seen
        self.allowed = allowed
        self.hint = hint
        super().__init__(self._message())

    def _message(self) -> str:
        text = self.what if self.where is None else f"{self.where}: {self.what}"
        if self.seen is not None:
            text += f"; found {self.seen!r}"
        if self.allowed is not None:
            text += f"; allowed: {_as_list(self.allowed)}"
        return text if self.hint is None else f"{text}. {self.hint}"

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the trip from a worker process with every part intact."""
        return (_rebuild, (type(self), self.what, self.where, self.seen, self.allowed, self.hint))


class UsageError(BiomarkersError):
    """The call, an option or a settings file is wrong; nothing was written (exit code 2).

    Examples
    --------
    >>> UsageError("no such assay", seen="22c4").exit_code
    2
    """


class DataError(BiomarkersError):
    """The content of a table, matrix or annotation file cannot be used as it stands (exit code 2).

    Examples
    --------
    >>> print(DataError("a level is no number", where="levels.csv, row 3, column TPS", seen="high"))
    levels.csv, row 3, column TPS: a level is no number; found 'high'
    """


class SlideError(DataError):
    """One image cannot be read or scored; in a batch it becomes that slide's ``failed`` row."""


class EnvironmentFailure(BiomarkersError):  # noqa: N818  (it reads as what it is)
    """The machine is in the way: disk full, folder locked or not writable (exit code 3)."""

    exit_code = 3


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Suggest the nearest known name, as a sentence to hand on as a hint.

    Parameters
    ----------
    word
        What the user wrote.
    known
        The names that exist.

    Returns
    -------
    ``"Did you mean 'X'?"``, or None when nothing is near.

    Examples
    --------
    >>> did_you_mean("PDCD1L", ["CD274", "PDCD1", "CD8A"])
    "Did you mean 'PDCD1'?"
    """
    names = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), list(names), n=1, cutoff=0.6)
    return f"Did you mean {names[near[0]]!r}?" if near else None


def _as_list(allowed: object) -> str:
    if isinstance(allowed, str) or not isinstance(allowed, Iterable):
        return str(allowed)
    return ", ".join(str(item) for item in allowed)


def _rebuild(
    kind: type[BiomarkersError], what: str, where: str | None, seen: object, allowed: object, hint: str | None
) -> BiomarkersError:
    return kind(what, where=where, seen=seen, allowed=allowed, hint=hint)
