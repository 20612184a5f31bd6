"""Simulated slides and trials with known truth."""

from biomarkers.simulate.fluorescence import (
    TRIAL_PANELS,
    FluorescenceNuisance,
    RenderedIF,
    plant_multiplex,
    render_if,
    write_if,
)
from biomarkers.simulate.hdab import render_hdab
from biomarkers.simulate.nuisance import Nuisance
from biomarkers.simulate.scene import Scene, simulate_scene
from biomarkers.simulate.truth import scene_truth

__all__ = [
    "TRIAL_PANELS",
    "FluorescenceNuisance",
    "Nuisance",
    "RenderedIF",
    "Scene",
    "plant_multiplex",
    "render_hdab",
    "render_if",
    "scene_truth",
    "simulate_scene",
    "write_if",
]
