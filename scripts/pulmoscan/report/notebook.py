"""Sections of an executed notebook that have nothing to show."""

from pathlib import Path

import nbformat
from nbformat import NotebookNode

OPTIONAL = "optional"  # tag of the prose that begins such a section


def leave_out_empty(path: Path) -> None:
    """Leave out of a notebook the prose tagged `OPTIONAL` whose code cells displayed nothing.

    The code cells are those up to the next prose. A notebook without such prose stays as it is.
    """
    notebook = nbformat.read(path, as_version=4)
    kept: list[NotebookNode] = []
    for section in _sections(notebook.cells):
        tags = section[0].metadata.get("tags", [])
        if OPTIONAL not in tags or any(map(_shows, section)):
            kept += section
    if len(kept) < len(notebook.cells):
        notebook.cells = kept
        nbformat.write(notebook, path)


def _sections(cells: list[NotebookNode]) -> list[list[NotebookNode]]:
    """Return the cells in groups, each of which begins with prose, the first one with any cell."""
    sections: list[list[NotebookNode]] = []
    for cell in cells:
        if cell.cell_type == "markdown" or not sections:
            sections.append([])
        sections[-1].append(cell)
    return sections


def _shows(cell: NotebookNode) -> bool:
    outputs = cell.get("outputs", [])
    return any(output.get("data", {}).get("text/html", "").strip() for output in outputs)
