"""Numbers with their words."""

from __future__ import annotations


def plural(count: int, what: str) -> str:
    """``1 cell``, ``2 cells``."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def both_groups(responders: int, others: int) -> str:
    """``1 responder and 2 others``."""
    return f"{plural(responders, 'responder')} and {plural(others, 'other')}"
