"""The page as readers use it, in a real browser: look, read blinded, correct, undo, sign; the score follows by hand."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from biomarkers.review.corrections import read_corrections
from biomarkers.review.readings import read_readings
from biomarkers.review.rescore import rescore

pytest.importorskip("tornado", reason="the extra 'review' is not installed")
pytest.importorskip("xstatic.pkg.leaflet", reason="the extra 'review' is not installed")
sys.path.insert(0, str(Path(__file__).parent))
browser_module, serving = importlib.import_module("browser"), importlib.import_module("serving")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser_module.CHROMIUM is None, reason="no Chromium on this machine"),
]
FIRST, SECOND = "simulated_SIM-002_baseline_PD-L1", "simulated_SIM-003_baseline_PD-L1"


@pytest.fixture(scope="module")
def browser():
    found = browser_module.Browser()
    yield found
    found.close()


def _open(browser, server, reader):
    browser.open("about:blank")
    browser.open(server.url)
    browser.until("document.body && document.body.dataset.ready === '1'")
    browser.js(f"at('reader').value = {json.dumps(reader)}; at('reader').dispatchEvent(new Event('change'))")
    _idle(browser)


def _idle(browser):
    browser.until("document.body.dataset.waiting === '0'")


def _slide(browser, name):
    browser.js(f"openSlide(review.slides.find((one) => one.slide === {json.dumps(name)}).number)")
    browser.until(f"document.querySelector('#side h2')?.textContent === {json.dumps(name)}")
    _idle(browser)


def _read(browser, value):
    browser.js(f"at('value').value = {value}; at('enter').click()")
    browser.until("review.cells && at('scores')")
    _idle(browser)


def _names(browser):
    return browser.js("[...document.querySelectorAll('#slides li b')].map((one) => one.textContent)")


def _on_screen(browser, x, y):
    """Where a place of the slide (full-resolution px) is on the screen."""
    place = f"const p = review.map.latLngToContainerPoint([-{y} / review.scale, {x} / review.scale]);"
    return browser.js(
        f"(() => {{ {place} const box = at('map').getBoundingClientRect(); return [p.x + box.x, p.y + box.y]; }})()"
    )


def _choose(browser, tool, name):
    browser.js(f"at('name').value = {json.dumps(name)}; document.querySelector('[data-tool={tool}]').click()")


def _tps(browser, column):
    return browser.js(f"document.querySelector('[data-score=tps]').children[{column}].textContent")


def test_look_read_blinded_correct_undo_and_sign(run_copy, browser, tmp_path):
    before = pd.read_parquet(run_copy / "cells" / f"{FIRST}.parquet")
    with serving.served(run_copy) as server:
        _open(browser, server, "A. Reader")
        assert _names(browser) == [FIRST, SECOND], "the contradicting slide comes first"
        browser.js("at('order').value = 'slide'; at('order').dispatchEvent(new Event('change'))")
        assert _names(browser) == [FIRST, SECOND]
        browser.js("at('search').value = 'sim-003 ok'; at('search').dispatchEvent(new Event('input'))")
        assert _names(browser) == [SECOND]
        browser.js("at('search').value = ''; at('search').dispatchEvent(new Event('input'))")

        _slide(browser, FIRST)
        assert browser.js("at('scores')") is None, "no value of the software before a reading"
        assert browser.js("review.cells") is None
        browser.until("document.querySelectorAll('.leaflet-tile-loaded').length >= 4")
        _read(browser, 33)
        assert _tps(browser, 1) == "30 %"
        assert read_readings(run_copy)["blinded"].tolist() == ["true"]

        _looks_around(browser)
        corrected = _corrects_ten(browser, before)
        _leaves_out(browser)
        browser.screenshot(tmp_path / "corrected.png")
        browser.js("at('undo').click()")
        browser.until("[...document.querySelectorAll('#actions tr')].some((one) => one.textContent.includes('undone'))")
        _idle(browser)
        browser.js("at('remark').value = 'looked at'; at('sign_accepted').click()")
        browser.until("document.querySelector('#actions .signed')")
        _idle(browser)
        shown = float(_tps(browser, 2))
        assert browser.js("at('n_corrected').textContent") == "10 cells corrected"
    found = rescore(run_copy, out=tmp_path / "out")
    told = found.corrections.iloc[0]
    assert (told["status"], told["n_changed"], told["decision"], told["authors"]) == (
        "applied",
        10,
        "accepted",
        "A. Reader",
    )
    by_hand = before["PD-L1_positive"].to_numpy().copy()
    by_hand[sorted(corrected)] = True
    tps = found.scores.query("slide == @FIRST and score == 'tps'").iloc[0]
    assert tps["value"] == pytest.approx(100 * by_hand.mean())
    assert shown == pytest.approx(tps["value"], abs=0.05)


def _looks_around(browser):
    zoom, centre = browser.js("review.map.getZoom()"), browser.js("review.map.getCenter().lng")
    browser.wheel(690, 400, -240)
    browser.until(f"review.map.getZoom() > {zoom} + 0.5 && !review.map._animatingZoom")
    browser.drag([(690, 400), (650, 380), (600, 360), (560, 350)])
    browser.until(f"Math.abs(review.map.getCenter().lng - {centre}) > 1e-6")
    painted = "new Uint32Array(review.layer._context.getImageData(0, 0, 900, 700).data.buffer).some((one) => one)"
    assert browser.js(painted), "cells are drawn"
    browser.js("at('outlines').click()")
    assert not browser.js(painted), "and not when they are switched off"
    browser.js("at('outlines').click(); at('only').value = 'tumor 3+'; at('only').dispatchEvent(new Event('change'))")
    assert browser.js(painted)
    browser.js("at('only').value = ''; at('only').dispatchEvent(new Event('change'))")
    browser.js("review.map.fitBounds(review.tiles.options.bounds, { animate: false }); 0")
    assert browser.js("document.querySelector('.scale').textContent").endswith("µm")


def _corrects_ten(browser, before):
    """Three cells by a click, seven negative ones with a line round them; return their rows."""
    negative = np.flatnonzero(~before["PD-L1_positive"].to_numpy())
    x, y = before["x_um"].to_numpy() / 0.5, before["y_um"].to_numpy() / 0.5
    middle = [row for row in negative if 60 < x[row] < 450 and 60 < y[row] < 450]
    clicked = middle[:3]
    _choose(browser, "click", "Tumor: 2+")
    for count, row in enumerate(clicked, start=1):
        browser.click(*_on_screen(browser, x[row], y[row]))
        browser.until(f"at('n_corrected')?.textContent === '{count} cells corrected'")
        _idle(browser)
    ring, inside = _ring_of_seven(x, y, before["PD-L1_positive"].to_numpy(), set(clicked))
    _choose(browser, "lasso", "Tumor: 2+")
    corners = [_on_screen(browser, *corner) for corner in ring]
    browser.drag([*corners, corners[0]])
    browser.until("at('n_corrected')?.textContent === '10 cells corrected'")
    _idle(browser)
    return {*clicked, *inside}


def _ring_of_seven(x, y, positive, taken):
    """A box that holds just seven cells, all negative and not corrected yet, none near its edge."""
    for left in range(20, 400, 7):
        for top in range(20, 400, 7):
            for wide, tall in ((90, 60), (110, 50), (70, 80), (100, 70)):
                held = np.flatnonzero((x > left) & (x < left + wide) & (y > top) & (y < top + tall))
                near = (x > left - 2) & (x < left + wide + 2) & (y > top - 2) & (y < top + tall + 2)
                inner = (x > left + 2) & (x < left + wide - 2) & (y > top + 2) & (y < top + tall - 2)
                if len(held) == 7 == near.sum() == inner.sum() and not positive[held].any() and not taken & set(held):
                    return [
                        (left, top),
                        (left + wide, top),
                        (left + wide, top + tall),
                        (left, top + tall),
                    ], held.tolist()
    raise AssertionError("no such box on this tile")


def _leaves_out(browser):
    _choose(browser, "region", "Ignore*")
    corners = [_on_screen(browser, x, y) for x, y in ((90, 150), (230, 150), (230, 280), (90, 280), (90, 150))]
    browser.drag(corners)
    browser.until("[...document.querySelectorAll('#actions tr')].length === 5")
    _idle(browser)
    assert browser.js("review.cells.kinds.some((one) => one.name === 'Ignore*')")


def test_a_second_reader_sees_no_first_reading_before_giving_an_own_one(run_copy, browser):
    with serving.served(run_copy) as server:
        for reader, value in (("A. Reader", 33), ("B. Reader", 25)):
            _open(browser, server, reader)
            _slide(browser, FIRST)
            assert "33" not in browser.js("document.body.innerText"), reader
            assert browser.js("at('readings')") is None
            _read(browser, value)
            assert browser.js("document.querySelectorAll('#readings tr').length") == (1 if reader == "A. Reader" else 2)
        _open(browser, server, "C. Reader")
        _slide(browser, FIRST)
        browser.js("at('reveal').click()")
        browser.until("at('scores')")
        _idle(browser)
        assert browser.js("at('readings')") is None, "who looks first still sees no other reading"
        _read(browser, 30)
    readings = read_readings(run_copy)
    assert readings["blinded"].tolist() == ["true", "true", "false"]


def test_read_only_shows_all_and_offers_nothing_to_change(run_copy, browser):
    with serving.served(run_copy, read_only=True) as server:
        _open(browser, server, "")
        _slide(browser, FIRST)
        browser.until("at('scores')")
        assert browser.js("at('reading')") is None
        assert browser.js("at('undo').disabled && at('sign_accepted').disabled")
    assert not (run_copy / "readings.csv").exists()
    assert not (run_copy / "corrections").exists()


def test_corrections_in_the_file_are_those_that_were_made(run_copy, browser):
    with serving.served(run_copy, blinded=False) as server:
        _open(browser, server, "A. Reader")
        _slide(browser, FIRST)
        browser.until("at('set_cut')")
        browser.js("at('cut').value = 0; at('cut').dispatchEvent(new Event('input')); at('set_cut').click()")
        browser.until("at('n_corrected')")
        _idle(browser)
    asked = read_corrections(run_copy / "corrections" / f"{FIRST}.geojson")
    assert asked.cut_od == pytest.approx(0.085 / 2)
    assert asked.authors == ()
