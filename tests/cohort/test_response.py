"""Response words: every usual spelling is understood, nothing unknown ever becomes a non-responder."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biomarkers.cohort.response import classify_response, normalise_responses
from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.keys import RESPONSES


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("PR ", "PR"),
        ("pr", "PR"),
        ("Partial Response", "PR"),
        ("Partial\u00a0Response", "PR"),
        ("complete response", "CR"),
        ("Complete-Response", "CR"),
        ("Stable Disease", "SD"),
        ("PROGRESSIVE_DISEASE", "PD"),
        ("Not evaluable", "NE"),
        ("Non-evaluable", "NE"),
        ("N.E.", "NE"),
        ("P.R.", "PR"),
        ("Partial Response (PR)", "PR"),
        ("PD - progressive disease", "PD"),
        ("Complete Response (PR)", None),
        ("PR (SD)", None),
        ("N.D.", None),
        (None, "missing"),
        (np.nan, "missing"),
        ("", "missing"),
    ],
)
def test_words(word: object, meaning: str | None) -> None:
    if meaning is None:
        with pytest.raises(DataError, match="not a response word"):
            normalise_responses([word])
        return
    found = normalise_responses([word]).iloc[0]
    assert pd.isna(found) if meaning == "missing" else found == meaning


def test_unknown_words_name_rows_and_suggest() -> None:
    words = pd.Series(["PR", "Partal Response", "SD", "Partal Response", "??"], index=pd.Index(range(2, 7), name="row"))
    with pytest.raises(DataError) as caught:
        normalise_responses(words, where="clinical.csv column 'BOR'")
    message = str(caught.value)
    assert "clinical.csv column 'BOR' rows 3, 5: not a response word; found 'Partal Response'" in message
    assert "CR, PR, SD, PD, NE" in message
    assert "partial response" in message


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("iUPD", "iRECIST"),
        ("Non-CR/Non-PD", "target lesions"),
        ("uPR", "unconfirmed"),
        ("R", "binary"),
        ("Unknown", "NE"),
    ],
)
def test_near_words_say_what_to_do(word: str, hint: str) -> None:
    with pytest.raises(DataError, match=hint):
        normalise_responses([word])


def test_definition_counts_everybody() -> None:
    words = pd.Series(["CR", "PR ", "sd", "PD", "NE", None], index=list("abcdef"))
    found = classify_response(words)
    assert found.definition == "response = CR 1 + PR 1; no response = SD 1 + PD 1; left out: NE 1, missing 1"
    assert found.responder.to_dict() == {"a": True, "b": True, "c": False, "d": False}
    assert found.responder.dtype == bool
    assert found.left_out.to_dict() == {"e": "NE", "f": "missing"}
    assert (found.n, found.n_responders) == (4, 2)


def test_not_evaluable_may_count_as_no_response() -> None:
    found = classify_response(["CR", "NE", "SD"], not_evaluable="nonresponder")
    assert found.responder.tolist() == [True, False, False]
    assert found.definition == "response = CR 1 + PR 0; no response = SD 1 + PD 0 + NE 1; nobody left out"


def test_disease_control() -> None:
    found = classify_response(["CR", "PR", "SD", "PD"], responders=("CR", "PR", "SD"))
    assert found.n_responders == 3
    assert found.definition.startswith("response = CR 1 + PR 1 + SD 1; no response = PD 1")


def test_binary_words_must_be_named() -> None:
    found = classify_response(["R", "nr", "NR ", None], responders=["R"], non_responders=["NR"])
    assert found.responder.tolist() == [True, False, False]
    assert found.definition == "response = R 1; no response = NR 2; left out: missing 1"
    numbers = classify_response(pd.Series([1.0, 0.0, 1.0]), responders=["1"], non_responders=["0"])
    assert numbers.responder.tolist() == [True, False, True]
    with pytest.raises(DataError, match="row 1"):
        classify_response(["R", "maybe"], responders=["R"], non_responders=["NR"])
    with pytest.raises(UsageError, match="both"):
        classify_response(["R"], responders=["R"], non_responders=["r"])


def test_bad_options() -> None:
    with pytest.raises(UsageError, match="responders"):
        classify_response(["CR"], responders=("CR", "NE"))
    with pytest.raises(UsageError, match="not_evaluable"):
        classify_response(["CR"], not_evaluable="drop")  # type: ignore[arg-type]


@given(st.lists(st.sampled_from([*RESPONSES, "pr ", "Stable disease", None]), max_size=30))
def test_normalising_is_idempotent_and_nobody_is_lost(words: list[str | None]) -> None:
    once = normalise_responses(words)
    pd.testing.assert_series_equal(normalise_responses(once), once)
    found = classify_response(words)
    assert found.n + len(found.left_out) == len(words) == sum(found.counts.values())
