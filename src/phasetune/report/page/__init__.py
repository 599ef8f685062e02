"""The report to look at: one content, as a page, as Markdown, as LaTeX."""
