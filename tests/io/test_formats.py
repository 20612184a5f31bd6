"""The registry of formats is whole, and the documentation says what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from biomarkers.io.formats import FORMATS, Format, format_of

DOCS = Path(__file__).parents[2] / "docs" / "pixels.md"


@pytest.mark.parametrize("one", FORMATS, ids=lambda one: one.name)
def test_the_documentation_names_every_format(one: Format) -> None:
    text = DOCS.read_text(encoding="utf-8").casefold()
    words = (one.name.casefold(), one.name.split()[-1].casefold(), one.suffixes[0].removeprefix("."))
    assert any(word in text for word in words)
    assert one.reader or one.hint, "what is not read says what to do"


@pytest.mark.parametrize("one", FORMATS, ids=lambda one: one.name)
def test_suffix_and_first_bytes_tell_the_same_format(one: Format) -> None:
    for suffix in one.suffixes:
        assert format_of(Path(f"a{suffix}"), head=b"") is one
        assert format_of(Path(f"a{suffix.upper()}"), head=b"") is one
        for at, starts in one.starts.items():
            for start in starts:
                assert format_of(Path(f"a{suffix}"), head=b"\1" * at + start + b"\1" * 64) is one


def test_content_comes_before_the_suffix() -> None:
    found = format_of(Path("a.svs"), head=b"\x89PNG\r\n\x1a\n" + b"\0" * 64)
    assert found is not None
    assert found.name == "PNG"
    assert format_of(Path("a.bin"), head=b"no image at all") is None
