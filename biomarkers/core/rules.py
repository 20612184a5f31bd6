"""The grammar of rules such as ``CD3+ !CD8+`` or ``CK+ PD-L1 > 3``: text -> what it says, without any cell.

    rule       = all { "or" all }
    all        = one { ["and"] one }
    one        = ( "not" | "!" | "~" | "¬" ) one | "(" rule ")" | call | comparison | phenotype
    call       = marker "+" | marker "-"                       the sign right behind the name
    comparison = marker [ ":" compartment ] ( ">" | ">=" | "<" | "<=" ) number
    phenotype  = name | "name of several words"
    marker     = name | "name of several words"

"not" binds to the one that follows it, "and" more closely than "or"; the words may be written in capitals. A name holds
letters, digits and ``_ - . / :``; other names stand in quotes. Compartments are cell (the default), nucleus, cytoplasm
and membrane. Everything else is refused: a sign before a name, ``&``, ``|``, ``=``, a number that is not finite.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from biomarkers.core.errors import UsageError

COMPARTMENTS: Final = ("cell", "nucleus", "cytoplasm", "membrane")
_SIGNS: Final = {"+": "+", "\u207a": "+", "\uff0b": "+"} | dict.fromkeys("-\u207b\u2212\u2013\uff0d", "-")
_SIGN = f"[{re.escape(''.join(_SIGNS))}]"
_TOKEN = re.compile(
    rf"""\s*(?:(?P<wrong>!=|~=|<>|=+[<>]?|&+|\|+)|(?P<compare>>=|<=|>|<)|(?P<bracket>[()])|(?P<not>[!~\u00ac])
    |(?P<quoted>"[^"]*"|'[^']*')(?P<sign>{_SIGN}?)|(?P<word>[^\s()<>"'=!~\u00ac&|]+))""",
    re.VERBOSE,
)
_NAME = re.compile(rf"(\w(?:[\w./:\-]*\w)?)({_SIGN}?)")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_INSTEAD: Final = {"&": "and", "|": "or"}
_DEPTH = 50


@dataclass(frozen=True)
class Call:
    """``CD3+`` or ``CD3-``."""

    marker: str
    positive: bool


@dataclass(frozen=True)
class Comparison:
    """``PD-L1 > 3``: the mean over a compartment against a number."""

    marker: str
    compartment: str
    sign: str
    limit: float


@dataclass(frozen=True)
class Phenotype:
    """A phenotype by its name."""

    name: str


@dataclass(frozen=True)
class Not:
    """All cells that do not fit."""

    rule: Rule


@dataclass(frozen=True)
class Both:
    """Cells that fit each part ("and")."""

    parts: tuple[Rule, ...]


@dataclass(frozen=True)
class Either:
    """Cells that fit any part ("or")."""

    parts: tuple[Rule, ...]


Rule = Call | Comparison | Phenotype | Not | Both | Either


@lru_cache(maxsize=512)
def parse_rule(text: str) -> Rule:
    """Read a rule.

    Parameters
    ----------
    text
        For example ``CD3+ CD8+``, ``CK+ or TFE3+``, ``CK+ !PD-L1+``, ``CD8:cytoplasm > 1``, ``"T cell" PD-1+``.

    Returns
    -------
    What it says; names stand as they were written.

    Raises
    ------
    UsageError
        The text does not follow the grammar.

    Examples
    --------
    >>> parse_rule("!CD3+")
    Not(rule=Call(marker='CD3', positive=True))
    """
    return _Reader(text).rule()


def leaves(rule: Rule) -> Iterator[Call | Comparison | Phenotype]:
    """Give the calls, comparisons and phenotypes that a rule is made of."""
    if isinstance(rule, Not):
        yield from leaves(rule.rule)
    elif isinstance(rule, Both | Either):
        for part in rule.parts:
            yield from leaves(part)
    else:
        yield rule


def is_rule_of_calls(name: str) -> bool:
    """Say whether a name reads as a rule over markers alone, such as ``CD3+ CD8-``."""
    try:
        return not any(isinstance(one, Phenotype) for one in leaves(parse_rule(name)))
    except UsageError:
        return False


class _Reader:
    """A recursive-descent reader of one rule."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._depth = text, 0, 0
        self._tokens = list(self._cut(text))

    def rule(self) -> Rule:
        if not self._tokens:
            raise self._wrong("the rule is empty")
        found = self._either()
        if self._at < len(self._tokens):
            raise self._wrong(f"{self._tokens[self._at][1]!r} was not expected")
        return found

    def _cut(self, text: str) -> Iterator[tuple[str, str, str]]:
        """Give (kind, text, sign)."""
        at, end = 0, len(text.rstrip())
        while at < end:
            found = _TOKEN.match(text, at)
            if found is None:
                raise self._wrong(f"{text[at:].strip()!r} cannot be read; are quotes closed?")
            kind = next(name for name, value in found.groupdict().items() if value is not None and name != "sign")
            value = found[kind]
            if kind == "wrong":
                raise self._wrong(f"{value!r} is not part of the grammar", hint=f"Write {_instead(value)}.")
            yield kind, value[1:-1] if kind == "quoted" else value, found["sign"] or ""
            at = found.end()

    def _either(self) -> Rule:
        parts = [self._both()]
        while self._word("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _both(self) -> Rule:
        parts = [self._one()]
        while self._word("and") or self._starts_one():
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _one(self) -> Rule:
        self._depth += 1
        if self._depth > _DEPTH:
            raise self._wrong(f"more than {_DEPTH} brackets or 'not' within each other")
        found = self._innermost()
        self._depth -= 1
        return found

    def _innermost(self) -> Rule:
        if self._word("not") or self._kind("not"):
            return Not(self._one())
        if self._at >= len(self._tokens):
            raise self._wrong("something is missing at its end")
        kind, text, sign = self._tokens[self._at]
        self._at += 1
        if (kind, text) == ("bracket", "("):
            found = self._either()
            if not self._kind("bracket", ")"):
                raise self._wrong("a bracket is not closed")
            return found
        if kind == "word" and text.casefold() not in ("and", "or"):
            text, sign = self._named(text)
        elif kind != "quoted" or not text.strip():
            raise self._wrong(f"{text!r} was not expected")
        if self._at < len(self._tokens) and self._tokens[self._at][0] == "compare":
            return self._comparison(text, sign)
        return Call(text, _SIGNS[sign] == "+") if sign else Phenotype(text)

    def _named(self, word: str) -> tuple[str, str]:
        """Part a word into name and sign."""
        found = _NAME.fullmatch(word)
        if found:
            return found[1], found[2]
        if word[0] in _SIGNS:
            hint = "Write CD3- for cells without CD3, and 'not' or '!' before whatever shall not be."
            raise self._wrong(f"a sign stands right behind a marker's name, not before it: {word!r}", hint=hint)
        odd = next((one for one in word if not re.fullmatch(r"[\w./:\-]", one)), word[-1])
        hint = "Part what stands side by side with a blank (CD3+ CD8+); put other names in quotes."
        raise self._wrong(f"{odd!r} cannot stand inside the name {word!r}", hint=hint)

    def _comparison(self, text: str, sign: str) -> Comparison:
        compare = self._tokens[self._at][1]
        self._at += 1
        number = self._tokens[self._at][1] if self._at < len(self._tokens) else ""
        self._at += 1
        if sign:
            raise self._wrong(f"{text}{sign} is a call; a comparison asks the level: {text} {compare} {number}")
        if not _NUMBER.fullmatch(number) or not math.isfinite(float(number)):
            hint = "Write a decimal point." if "," in number else None
            raise self._wrong(f"a finite number must follow {compare!r}, found {number!r}", hint=hint)
        marker, _, compartment = text.rpartition(":")
        if not marker:
            marker, compartment = text, COMPARTMENTS[0]
        if compartment.casefold() not in COMPARTMENTS:
            raise self._wrong(f"{compartment!r} is no compartment", hint=f"Compartments: {', '.join(COMPARTMENTS)}.")
        return Comparison(marker, compartment.casefold(), compare, float(number))

    def _word(self, word: str) -> bool:
        if self._at < len(self._tokens):
            kind, text, _ = self._tokens[self._at]
            if kind == "word" and text.casefold() == word:
                self._at += 1
                return True
        return False

    def _kind(self, kind: str, text: str | None = None) -> bool:
        if self._at >= len(self._tokens):
            return False
        there = self._tokens[self._at]
        found = there[0] == kind and text in (None, there[1])
        self._at += found
        return found

    def _starts_one(self) -> bool:
        if self._at >= len(self._tokens):
            return False
        kind, text, _ = self._tokens[self._at]
        if kind == "word":
            return text.casefold() != "or"
        return kind in ("quoted", "not") or (kind, text) == ("bracket", "(")

    def _wrong(self, what: str, *, hint: str | None = None) -> UsageError:
        return UsageError(f"cannot read the rule: {what}", seen=self._text, hint=hint or 'For example: "CD3+ !CD8+".')


def _instead(sign: str) -> str:
    word = _INSTEAD.get(sign[0])
    return f"'{word}'" if word else "CD3+ for a call, or a comparison with >, >=, < or <="
