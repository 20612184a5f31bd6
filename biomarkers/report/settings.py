"""The end of every report: what made it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from biomarkers.core.provenance import versions
from biomarkers.report.page import Section


def made_by(settings: Mapping[str, Any]) -> Section:
    """Print settings, seed and versions, enough to make the result again."""
    record = {"settings": dict(settings), "versions": versions()}
    return Section(
        "How this was made",
        paragraphs=(
            "The same settings, seed and versions give the same numbers. run.json beside this file holds them too.",
        ),
        code=json.dumps(record, indent=2, sort_keys=True, default=str),
        code_caption="Settings, seed and versions",
    )
