"""The data that comes with the package is there."""

from biomarkers import asps_atezolizumab, sample_trial
from biomarkers.stats.proportions import clopper_pearson


def test_the_sample_trial_is_found_and_complete():
    trial = sample_trial()
    for path in (trial.manifest, trial.clinical, trial.tumor_sums, trial.expression, trial.truth):
        assert path.is_file()
        assert path.name.startswith("simulated_")
    assert len(trial.training) == 5
    assert all(image.is_file() and labels.is_file() for image, labels in trial.training)


def test_the_published_counts():
    trial = asps_atezolizumab()
    rate = clopper_pearson(trial.responders, trial.n)
    assert [round(100 * value, 1) for value in (rate.value, rate.low, rate.high)] == [36.5, 23.6, 51.0]
    markers = {marker.marker: marker for marker in trial.markers}
    assert (markers["PD-1"].positive_responders, markers["PD-1"].positive) == (5, 9)
    assert (markers["PD-L1"].positive_responders, markers["PD-L1"].positive) == (6, 15)
