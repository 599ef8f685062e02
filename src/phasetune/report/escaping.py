"""What people wrote, as Markdown that reads back as they wrote it."""

import re

_SIGNS = re.compile(r"([\\`*_\[\]|#~$!])")
_OPENS_A_BLOCK = re.compile(r"^(\d*)([-+=.)])(?=\s|[-=]|$)")


def markdown_escaped(text: str) -> str:
    """A text of one line with every sign escaped that Markdown or HTML would read as its own."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    safe = _SIGNS.sub(r"\\\1", safe).replace("@", "&#64;")  # an @ would call somebody
    return _OPENS_A_BLOCK.sub(r"\1\\\2", safe)
