"""Results become one self-contained HTML file."""

from biomarkers.report.change import write_change_report
from biomarkers.report.page import Figure
from biomarkers.report.relation import write_relation_report
from biomarkers.report.study import write_study_report

__all__ = ["Figure", "write_change_report", "write_relation_report", "write_study_report"]
