"""Simulated slides and trials with known truth."""

from biomarkers.simulate.hdab import render_hdab
from biomarkers.simulate.nuisance import Nuisance
from biomarkers.simulate.scene import Scene, simulate_scene
from biomarkers.simulate.truth import scene_truth

__all__ = ["Nuisance", "Scene", "render_hdab", "scene_truth", "simulate_scene"]
