"""Options that say how well a level was measured, read from the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from biomarkers.core.errors import UsageError

_FORM = "COLUMN=0.6, COLUMN=0.6:0.45:0.75 or COLUMN=NAME"


def measurement_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of :func:`biomarkers.relate` that are about measurement error."""
    reliability: dict[str, list[Any]] = {}
    for text in options["reliabilities"]:
        name, value = pair(text, allowed=_FORM)
        reliability.setdefault(name, []).append(read_reliability(value, text=text))
    replicates: dict[str, list[str]] = {}
    for text in options["replicates"]:
        name, column = pair(text, allowed="COLUMN=COLUMN")
        replicates.setdefault(name, []).append(column)
    accuracy = {}
    for text in options["accuracies"]:
        name, value = pair(text, allowed="COLUMN=SENSITIVITY,SPECIFICITY")
        accuracy[name] = _numbers(value.split(","), 2, text, "COLUMN=SENSITIVITY,SPECIFICITY")
    errors = dict(pair(text, allowed="COLUMN=COLUMN") for text in options["errors"])
    return {"reliability": reliability, "replicates": replicates, "standard_errors": errors, "accuracy": accuracy}


def read_reliability(value: str, *, text: str) -> Any:
    """Read 0.6, 0.6:0.45:0.75 or the name of a published value."""
    parts = value.split(":")
    if len(parts) == 3:
        return _numbers(parts, 3, text, _FORM)
    try:
        return float(value)
    except ValueError:
        if value[:1].isdigit() and not any(letter.isalpha() for letter in value):
            raise UsageError("this option is not understood", seen=text, allowed=_FORM) from None
        return value


def pair(text: str, *, allowed: str) -> tuple[str, str]:
    """Read NAME=VALUE."""
    name, equals, value = text.rpartition("=")
    if not (name and equals and value):
        raise UsageError("this option is not understood", seen=text, allowed=allowed)
    return name, value


def _numbers(parts: list[str], n: int, text: str, allowed: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in parts)
    except ValueError as error:
        raise UsageError("this option is not understood", seen=text, allowed=allowed) from error
    if len(numbers) != n:
        raise UsageError("this option is not understood", seen=text, allowed=allowed)
    return numbers
