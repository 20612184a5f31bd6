"""The whole main job on one trial: tiles and a matrix to levels, a cohort, verdicts, and a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from biomarkers.core.files import write_csv
from biomarkers.core.keys import BASELINE, ON_TREATMENT
from biomarkers.core.provenance import run_record, write_run_json
from biomarkers.datasets import SampleTrial, sample_trial
from biomarkers.run.batch import BatchResult, score_batch

if TYPE_CHECKING:
    from anndata import AnnData

    from biomarkers.change.result import Change
    from biomarkers.pheno.classify import CellClassifier
    from biomarkers.relate import Relation

# what the trial asks about; the last is the one that was planted dependent
LEVELS: Final = ("PD-L1 tps", "PD-1 density_per_mm2", "CD274 log2_cpm", "PDCD1 log2_cpm", "CD8A log2_cpm")
_MOST_OVERLAYS: Final = 2

Say = Callable[[str], None]


@dataclass(frozen=True)
class Study:
    """Everything the main job made. ``report`` is the page to open."""

    scores: BatchResult
    cohort: AnnData
    relation: Relation
    change: Change
    report: Path


def run_demo(out: str | Path, *, workers: int = 2, say: Say = print, progress: bool = True) -> Study:
    """Run the main job on the simulated sample trial.

    Parameters
    ----------
    out
        Folder for everything.
    workers
        Worker processes for scoring.
    say
        Takes one line about each step.
    progress
        Show progress bars on standard error.

    Returns
    -------
    Study
    """
    folder, trial = Path(out), sample_trial()
    say("1/5  Train a cell classifier on labelled tiles, and score the tiles (simulated data)")
    classifier = folder / "classifier.json"
    if not classifier.is_file():
        _train(trial).save(classifier)
    scores = score_batch(
        [trial.manifest], out=folder / "scores", classifier=str(classifier), workers=workers, progress=progress
    )
    say("2/5  Levels from the expression matrix")
    levels = _levels(trial, folder / "levels")
    say("3/5  Join them to the clinical table")
    cohort = _cohort(trial, folder, levels)
    say("4/5  Do responses occur independently of the levels? What changed on treatment?")
    relation, change = _questions(cohort, folder)
    say("5/5  The report")
    report = _report(folder, scores, cohort, relation, change)
    settings = {"levels": list(LEVELS), "workers": workers, "simulated": True}
    inputs = [trial.manifest, trial.clinical, trial.expression]
    write_run_json(run_record("demo", settings=settings, inputs=inputs), folder)
    return Study(scores, cohort, relation, change, report)


def _train(trial: SampleTrial) -> CellClassifier:
    from biomarkers.io import read_tile
    from biomarkers.io.annotations import read_annotations
    from biomarkers.pheno.annotations_apply import cell_labels
    from biomarkers.pheno.classify_train import LabelledCells, train_classifier
    from biomarkers.seg.find import find_cells

    items = []
    for image, drawn in trial.training:
        tile = read_tile(image)
        cells = find_cells(tile, progress=False).cells
        labels = cell_labels(cells, read_annotations(drawn), mpp=float(tile.attrs["mpp"]))
        items.append(LabelledCells(image.name.split(".")[0], cells, labels))
    return train_classifier(items)


def _levels(trial: SampleTrial, folder: Path) -> Path:
    from biomarkers.expression import express

    found = express(trial.expression)
    write_csv(found.levels, folder / "levels.csv")
    write_run_json(run_record("express", settings=found.settings, inputs=[trial.expression]), folder)
    return folder / "levels.csv"


def _cohort(trial: SampleTrial, folder: Path, levels: Path) -> AnnData:
    from biomarkers.cohort.join import build_cohort
    from biomarkers.cohort.store import flow_of, write_cohort

    cohort = build_cohort(scores=[folder / "scores"], levels=[levels], clinical=trial.clinical, visits=trial.tumor_sums)
    write_cohort(cohort, folder / "cohort.h5ad")
    write_csv(flow_of(cohort), folder / "flow.csv")
    return cohort


def _questions(cohort: AnnData, folder: Path) -> tuple[Relation, Change]:
    from biomarkers.change.measure import measure_change
    from biomarkers.change.write import write_tables
    from biomarkers.relate import relate

    relation = replace(relate(cohort, levels=LEVELS, cutoffs={"PD-L1 tps": [1, 50]}), simulated=True)
    write_csv(relation.verdicts, folder / "relate" / "verdicts.csv")
    write_csv(relation.table, folder / "relate" / "statistics.csv")
    change = measure_change(
        cohort, levels=LEVELS, baseline=BASELINE, on_treatment=ON_TREATMENT, drug="atezolizumab (simulated)"
    )
    write_tables(change, folder / "change")
    return relation, change


def _report(folder: Path, scores: BatchResult, cohort: AnnData, relation: Relation, change: Change) -> Path:
    from biomarkers.cohort.summary import summarise_study
    from biomarkers.plot.change_files import save_change_figures
    from biomarkers.plot.cohort_files import save_study_figures
    from biomarkers.plot.relation_files import save_relation_figures
    from biomarkers.report import Figure, write_study_report

    patients = summarise_study(cohort)
    figures = save_relation_figures(relation, folder / "relate" / "figures")
    of_patients = save_study_figures(patients, folder / "cohort" / "figures", simulated=True)
    save_change_figures(change, folder / "change" / "figures", simulated=True)
    overlays = _overlays(folder / "scores", scores)
    return write_study_report(
        folder / "report.html",
        relation=relation,
        change=change,
        patients=patients,
        slides=scores.slides,
        relation_figures=[Figure.named(path) for path in figures],
        flow_figures=[Figure.named(path) for path in of_patients],
        change_figures=folder / "change" / "figures",
        slide_figures=[
            Figure(path, f"{path.stem} (simulated): outlines by class, filled by intensity") for path in overlays
        ],
        settings={"change": dict(change.settings)},
        simulated=True,
    )


def _overlays(folder: Path, scores: BatchResult) -> Sequence[Path]:
    """Choose the overlays with the most positive cells: there is most to see."""
    found = scores.slides.sort_values("positive_fraction", ascending=False)
    paths = [folder / "overlays" / f"{slide}.png" for slide in found["slide"]]
    return [path for path in paths if path.is_file()][:_MOST_OVERLAYS]
