"""Plots: Axes in, Axes out; ``pl.levels`` is ``plot_levels`` and so on."""

from biomarkers.core.lazy import lazy_names as _lazy_names

__getattr__, __dir__, __all__ = _lazy_names(
    __name__,
    {
        "agreement": "biomarkers.plot.expression:plot_agreement",
        "cell_types": "biomarkers.plot.expression:plot_cell_types",
        "chain": "biomarkers.plot.change_chain:plot_chain",
        "changes": "biomarkers.plot.change_levels:plot_changes",
        "channel": "biomarkers.plot.fluorescence:plot_channel",
        "conversions": "biomarkers.plot.change_chain:plot_conversions",
        "differences": "biomarkers.plot.expression:plot_differences",
        "flow": "biomarkers.plot.cohort_flow:plot_flow",
        "forest": "biomarkers.plot.relation:plot_forest",
        "gate": "biomarkers.plot.fluorescence:plot_gate",
        "landmark": "biomarkers.plot.cohort_survival:plot_landmark",
        "levels": "biomarkers.plot.relation:plot_levels",
        "mark_simulated": "biomarkers.plot.style",
        "new_figure": "biomarkers.plot.style",
        "pairs": "biomarkers.plot.change_levels:plot_pairs",
        "power": "biomarkers.plot.relation_power:plot_power",
        "regions": "biomarkers.plot.fluorescence:plot_regions",
        "resolution": "biomarkers.plot.relation_resolution:plot_resolution",
        "response_rate": "biomarkers.plot.relation:plot_response_rate",
        "roc": "biomarkers.plot.relation:plot_roc",
        "sample_levels": "biomarkers.plot.expression:plot_sample_levels",
        "sensitivity": "biomarkers.plot.relation_sensitivity:plot_sensitivity",
        "spider": "biomarkers.plot.cohort_response:plot_spider",
        "style": "biomarkers.plot.style",
        "survival": "biomarkers.plot.cohort_survival:plot_survival",
        "survival_by_level": "biomarkers.plot.relation_survival:plot_survival",
        "swimmer": "biomarkers.plot.cohort_response:plot_swimmer",
        "visits": "biomarkers.plot.cohort_levels:plot_visits",
        "waterfall": "biomarkers.plot.cohort_response:plot_waterfall",
    },
)
