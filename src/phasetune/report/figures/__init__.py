"""Figures of a study: each is a function that computes numbers and one that draws them."""

from phasetune.report.figures.rendering import svg_text, write_png
from phasetune.report.figures.study import StudyFigure, study_figures

__all__ = ["StudyFigure", "study_figures", "svg_text", "write_png"]
