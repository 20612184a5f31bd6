"""Another finder of nuclei in place of ours: an adapter around a stand-in for a model that is not installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from biomarkers.core.config import load_assay
from biomarkers.core.errors import UsageError
from biomarkers.io import make_tile
from biomarkers.score import score_slide
from biomarkers.seg import find_cells
from biomarkers.seg import plugin as plugins
from biomarkers.seg.plugin import load_segmenter, segment_with, segmenter_names
from tests.score.painted import paint, save

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class StandInModel:
    """Answers as StarDist's ``predict_instances`` does: labels and details. It takes what is dark and blue."""

    def predict_instances(self, image: NDArray[np.floating[Any]]) -> tuple[NDArray[np.int32], dict[str, object]]:
        assert image.dtype == np.float32
        assert image.max() <= 1
        blue = (image[..., 0] < 0.7) & (image[..., 2] > image[..., 0])
        labels, count = ndimage.label(ndimage.binary_opening(blue, iterations=2))
        return labels.astype(np.int32), {"count": count}


class Adapter:
    """The worked example of docs/scores.md: ten lines around a model of one's own."""

    def __init__(self) -> None:
        self.model = StandInModel()

    def segment(self, rgb: NDArray[np.uint8], *, mpp: float) -> NDArray[np.int32]:
        labels, _ = self.model.predict_instances(rgb.astype(np.float32) / 255)
        return labels


class EntryPoint:
    """What ``importlib.metadata`` gives for an installed package's entry point."""

    def __init__(self, name: str, made: Any) -> None:
        self.name, self._made = name, made

    def load(self) -> Any:
        if isinstance(self._made, Exception):
            raise self._made
        return self._made


@pytest.fixture
def installed(monkeypatch):
    found = [
        EntryPoint("stand-in", Adapter),
        EntryPoint("broken", ImportError("no module named 'tensorflow'")),
        EntryPoint("empty", object),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: found if group == plugins.GROUP else [])


def test_painted_cells_are_scored_on_the_models_nuclei(tmp_path):
    path, centres = save(tmp_path, ringed=lambda row, column: column < 5)
    result = score_slide(path, assay="22c3", mpp=0.25, assume_tumor=True, segmenter=Adapter())
    assert result.cells.n_obs == len(centres)
    assert result.scores.set_index("score").loc["tps", "value"] == 50
    assert result.record["segmenter"] == "Adapter"


def test_blocks_do_not_change_what_is_found():
    from biomarkers.seg.settings import CellSettings

    tile = make_tile(paint(ringed=lambda row, column: column < 5)[0], mpp=0.25)
    whole, parts = (
        find_cells(tile, segmenter=Adapter(), settings=CellSettings(block_px=side), progress=False).cells.obs
        for side in (2048, 256)
    )
    assert len(whole) == len(parts)
    assert np.allclose(whole["x_um"], parts["x_um"])


def test_installed_segmenters_are_found_by_name(installed):
    assert segmenter_names() == ("broken", "empty", "stand-in")
    assert isinstance(load_segmenter("stand-in"), Adapter)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("stand_in", "no such segmenter"),
        ("broken", "cannot be loaded: ImportError: no module named 'tensorflow'"),
        ("empty", "no method segment"),
    ],
)
def test_what_cannot_be_used_is_said(installed, name, message):
    with pytest.raises(UsageError, match=message):
        load_segmenter(name)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.zeros((4, 5), np.int32), "no label image"),
        (np.full((4, 4), 0.5, np.float32), "no label image"),
        (np.full((4, 4), -1), "negative labels"),
    ],
)
def test_answers_that_are_no_labels_are_refused(answer, message):
    class Wrong:
        def segment(self, rgb: NDArray[np.uint8], *, mpp: float) -> NDArray[Any]:
            return answer

    with pytest.raises(UsageError, match=message):
        segment_with(Wrong(), np.zeros((4, 4, 3), np.uint8), mpp=0.5)


def test_numbers_are_made_dense_and_zero_stays_background():
    class Sparse:
        def segment(self, rgb: NDArray[np.uint8], *, mpp: float) -> NDArray[Any]:
            return np.array([[0, 0, 900], [7, 0, 900]])

    labels = segment_with(Sparse(), np.zeros((2, 3, 3), np.uint8), mpp=0.5)
    assert labels.tolist() == [[0, 0, 2], [1, 0, 2]]
    assert labels.dtype == np.int32


def test_an_assay_reads_the_models_nuclei(tmp_path):
    """A nuclear assay on blue nuclei alone: nothing is positive."""
    path, centres = save(tmp_path)
    result = score_slide(path, assay=load_assay("h-dab-nuclear"), mpp=0.25, segmenter=Adapter())
    assert result.row["n_cells"] == len(centres)
    assert result.row["n_positive"] == 0


class _StarDistLike:
    def predict_instances(self, picture, **_):
        assert picture.dtype == np.float32
        assert 0 <= picture.min() <= picture.max() <= 1
        return _two_squares(picture), {"coord": []}


class _CellposeLike:
    def eval(self, picture, diameter=None):
        return _two_squares(picture).astype(np.uint16), [None], np.zeros(3), 17.0


class _Tensor:
    def __init__(self, values):
        self._values = values

    def detach(self):
        return self

    def cpu(self):
        return self

    def numpy(self):
        return self._values


class _InstanSegLike:
    def eval(self):  # a network's own switch, which takes no picture
        raise AssertionError

    def eval_small_image(self, picture, pixel_size):
        assert pixel_size == 0.5
        return _Tensor(_two_squares(picture)[None, None].astype(np.float32)), _Tensor(np.zeros(3))


def _two_squares(picture):
    found = np.zeros(picture.shape[:2], int)
    found[1:3, 1:3], found[5:7, 5:8] = 4, 9
    return found


@pytest.mark.parametrize("model", [_StarDistLike(), _CellposeLike(), _InstanSegLike(), _two_squares])
def test_models_of_other_packages_are_taken_as_they_are(model):
    labels = segment_with(model, np.full((8, 9, 3), 200, np.uint8), mpp=0.5)
    assert labels.dtype == np.int32
    assert np.bincount(labels.ravel()).tolist() == [72 - 10, 4, 6]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (_StarDistLike, "no segmenter"),  # the class
        ("model.pt", "no segmenter"),
        (lambda picture: picture / 255, "no label image"),
        (lambda picture: np.full(picture.shape[:2], 0.5), "no label image"),
        (lambda picture: _two_squares(picture)[:4], "no label image"),
        (lambda picture: -_two_squares(picture), "negative"),
        (lambda picture: (), "no label image"),
    ],
)
def test_what_is_no_segmenter_or_no_label_image_is_one_clear_error(model, message):
    with pytest.raises(UsageError, match=message):
        segment_with(model, np.full((8, 9, 3), 200, np.uint8), mpp=0.5)
