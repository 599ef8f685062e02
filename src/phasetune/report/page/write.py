"""Write the report of a study for people: page, Markdown, LaTeX tables, figures as pictures.

All formats say what `report.content` gathered, and each figure is drawn once.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from phasetune.errors import PhasetuneError, StoreError
from phasetune.report.document import chosen_studies
from phasetune.report.page.content import study_content
from phasetune.store.documents import read_document, write_document
from phasetune.store.durable import withdraw, write_text
from phasetune.store.paths import ResultsPaths, StudyPaths, results_at
from phasetune.study.problems import suggestion
from phasetune.study.wording import shown

if TYPE_CHECKING:
    from phasetune.report.figures import StudyFigure

FORMATS = {"html": "report.html", "md": "report.md", "tex": "report.tex"}
_LIST = "pictures.json"


def write_page(
    results: str | Path,
    study: str | None = None,
    *,
    formats: Sequence[str] = ("html",),
    out: str | Path | None = None,
) -> list[Path]:
    """Write the report of a study, or of all studies below a results root.

    Beside the formats asked for (html, md, tex) each figure is written as a PNG below `figures/`.
    By default they lie in the study's folder; below `out` each of several studies has its own.

    Returns:
        The reports, in the order of studies and formats; the pictures are not among them.

    Raises:
        StoreError: there is no such study, a document of it can't be read, or the disk refuses.
        PhasetuneError: a format is unknown.
    """
    paths = results_at(results)
    wanted = known_formats(formats)
    studies = chosen_studies(paths.root, study)
    below = None if out is None else Path(out).resolve()
    written = []
    for found in studies:
        folder = found.root if below is None else below
        if below is not None and len(studies) > 1:
            folder = below / found.root.name
        written += write_study_page(paths, found, wanted, out=folder)
    return written


def write_study_page(
    results: ResultsPaths,
    study: StudyPaths,
    formats: Sequence[str] = ("html",),
    *,
    out: Path | None = None,
) -> list[Path]:
    """Write one study's report into a folder, its own by default; returns a path per format.

    Pictures of an older report that this one has no more are removed.

    Raises:
        StoreError: a document of the study can't be read, or the disk refuses.
        PhasetuneError: a format is unknown.
    """
    wanted = known_formats(formats)
    folder = study.root if out is None else out
    from phasetune.report.figures import study_figures
    from phasetune.report.page.latex import latex_text
    from phasetune.report.page.markdown import markdown_text
    from phasetune.report.page.markup import page_text

    content = study_content(results, study)
    figures = study_figures(results.root, study)
    pictures = folder / study.figures.name
    _write_pictures(figures, pictures)
    texts: dict[str, Callable[[], str]] = {
        "html": lambda: page_text(content, figures),
        "md": lambda: markdown_text(content, figures, folder=pictures.name),
        "tex": lambda: latex_text(content),
    }
    paths = [folder / FORMATS[name] for name in wanted]
    for name, path in zip(wanted, paths, strict=True):
        write_text(path, texts[name]())
    return paths


def known_formats(names: Sequence[str]) -> tuple[str, ...]:
    """The formats, each once.

    Raises:
        PhasetuneError: one is unknown, or there is none.
    """
    for name in names:
        if name not in FORMATS:
            raise PhasetuneError(
                f"there is no report format {shown(name)}{suggestion(name, FORMATS)}; give some of "
                f"{','.join(FORMATS)}"
            )
    if not names:
        raise PhasetuneError(f"a report needs a format; give some of {','.join(FORMATS)}")
    return tuple(dict.fromkeys(names))


def _write_pictures(figures: "Sequence[StudyFigure]", folder: Path) -> None:
    """Write each figure, then remove what an older report left; other people's files stay."""
    from phasetune.report.figures import write_png

    before = _pictures_of(folder)
    names = [f"{figure.name}.png" for figure in figures]
    write_document(folder / _LIST, {"pictures": sorted({*before, *names})})
    for figure, name in zip(figures, names, strict=True):
        write_png(figure.figure, folder / name)
    for name in before - set(names):
        withdraw(folder / name)
    write_document(folder / _LIST, {"pictures": sorted(names)})


def _pictures_of(folder: Path) -> set[str]:
    """The pictures that a report of ours left here, as far as its list can be read and trusted."""
    try:
        listed = (read_document(folder / _LIST) or {}).get("pictures")
    except StoreError:
        return set()
    names = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    return {name for name in names if Path(name).name == name and name.endswith(".png")}
