"""Figures as SVG: small, with real text, and recolourable by the page they stand in."""

from __future__ import annotations

import io
import re
import warnings
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.figure import Figure

from analysis.figures.style import COLOURS, GRID, INK, MUTED

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"

# Literal colours become the page's own, so that one figure serves light and dark.
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    **{colour: f"--c{i}" for i, colour in enumerate(COLOURS)},
}

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small, searchable, readable by screen readers
    "svg.hashsalt": "tune-select",  # the same figure gives the same file
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
}


def to_svg(figure: Figure) -> str:
    """A figure as a stand-alone SVG file with a white background."""
    buffer = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # A user's name may hold characters that the measuring font lacks; the browser's has them.
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(buffer, format="svg", metadata=metadata, facecolor="white")
    return buffer.getvalue()


def to_inline(svg: str, name: str, label: str) -> str:
    """The same figure for a page: no identifier shared with others, colours by variable.

    Args:
        svg: The result of :func:`to_svg`.
        name: Unique on the page; letters, digits, ``-`` and ``_``.
        label: What a screen reader says.
    """
    root = ElementTree.fromstring(svg)
    _strip(root)
    used = set(re.findall(r"url\(#([^)]+)\)", svg)) | set(re.findall(r'href="#([^"]+)"', svg))
    for element in root.iter():
        identity = element.attrib.pop("id", None)
        if identity in used:
            element.set("id", f"{name}-{identity}")
        for key, value in list(element.attrib.items()):
            element.set(key, _rewrite(value, name))
    background = root.find(f"{{{_SVG}}}g/{{{_SVG}}}g/{{{_SVG}}}path")
    if background is not None:
        background.set("style", "fill: none")
    width, height = root.attrib.pop("width"), root.attrib.pop("height")
    root.set("style", f"aspect-ratio: {width.rstrip('pt')} / {height.rstrip('pt')}")
    root.set("role", "img")
    root.set("aria-label", label)
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    text = ElementTree.tostring(root, encoding="unicode")
    return re.sub(r">\s+<", "><", text)


def _strip(root: ElementTree.Element) -> None:
    """Remove metadata and the style rule that would apply to the whole page."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("metadata", "}style")):
                parent.remove(child)


def _rewrite(value: str, name: str) -> str:
    value = value.replace("url(#", f"url(#{name}-")
    if value.startswith("#"):
        value = f"#{name}-{value[1:]}" if not re.fullmatch(r"#[0-9a-f]{6}", value) else value
    for colour, variable in _VARIABLES.items():
        value = value.replace(colour, f"var({variable})")
    # The plots' white fills (marker edges, axes) are the paper, whatever its colour.
    value = value.replace("#ffffff", "var(--paper)")
    # The browser's own sans-serif: DejaVu, which measured the text, is wider than most.
    return re.sub(r"font-family: [^;]*", "font-family: var(--sans)", value)
