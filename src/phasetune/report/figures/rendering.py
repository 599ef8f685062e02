"""A figure as a picture: an SVG element for pages, a PNG file for everything else."""

import hashlib
import io
import re
from html import escape
from pathlib import Path

from matplotlib.figure import Figure

from phasetune.report.figures.style import FONTS_ON_PAGES, styled
from phasetune.store.durable import replacing

_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_IDS = re.compile(r"""(\bid="|url\(#|href="#)""")
_FONTS = re.compile(r"'DejaVu Sans'")
_STYLE_FOR_ALL = re.compile(r"<defs>\s*<style.*?</style>\s*</defs>\s*", re.DOTALL)
_ROOT = re.compile(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', re.DOTALL)


def svg_text(figure: Figure) -> str:
    """The `<svg>` element of a figure: as wide as its place, up to the size it was made for.

    Ids begin with the figure's own name, so that two of them can stand in one page. Equal figures
    have equal texts.
    """
    with styled():
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata=_NO_METADATA)
    drawn = file.getvalue()
    element = drawn[drawn.index("<svg ") :].strip()
    element = _STYLE_FOR_ALL.sub("", element, count=1)  # its selector is the whole page
    prefix = f"f{hashlib.sha256(f'{figure.get_gid()}{element}'.encode()).hexdigest()[:10]}-"
    element = _IDS.sub(rf"\1{prefix}", element)
    element = _FONTS.sub(escape(FONTS_ON_PAGES), element)
    return _ROOT.sub(lambda match: _opening(match[1], figure), element, count=1)


def _opening(view_box: str, figure: Figure) -> str:
    """The root's tag and its title."""
    width = figure.get_figwidth()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'role="img" width="100%" viewBox="{view_box}" '
        f'style="max-width: {width:g}in; stroke-linejoin: round">'
        f"<title>{escape(str(figure.get_label()))}</title>"
    )


def write_png(figure: Figure, path: Path, *, dpi: int = 160) -> None:
    """Write a figure as a picture, durably.

    Raises:
        StoreError: it can't be written.
    """
    with replacing(path) as draft, styled():
        figure.savefig(draft, format="png", dpi=dpi)
