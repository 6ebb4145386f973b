"""Formulae as inline SVG, drawn by Matplotlib when the site is built: no script, no font, no LaTeX."""

from __future__ import annotations

import io
import re
from html import escape
from typing import Any

from docutils import nodes
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser
from sphinx.application import Sphinx

_POINTS = 12.0
_IDS = re.compile(r'(id="|xlink:href="#|url\(#)')


def svg_of(tex: str, number: int) -> str:
    """One line of TeX as an <svg> in em units that takes the colour of the text and stands on its baseline."""
    width, height, depth, *_ = MathTextParser("path").parse(f"${tex}$", dpi=72, prop=_font())
    figure = Figure(figsize=((width + 1) / 72, (height + depth + 1) / 72))
    figure.text(0.5 / 72 / figure.get_figwidth(), (depth + 0.5) / 72 / figure.get_figheight(), f"${tex}$",
                fontproperties=_font(), color="#010203")  # fmt: skip
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r' (?:xmlns:xlink|xmlns|version)="[^"]*"', "", svg, count=3)
    svg = _IDS.sub(lambda found: f"{found[1]}math{number}-", svg.replace("#010203", "currentColor"))
    size = f"width:{(width + 1) / _POINTS:.3f}em;height:{(height + depth + 1) / _POINTS:.3f}em"
    style = f"{size};vertical-align:{-(depth + 0.5) / _POINTS:.3f}em"
    svg = re.sub(r'<svg width="[^"]*" height="[^"]*"', "<svg", svg, count=1)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(tex, quote=True)}" style="{style}"', 1)


def _font() -> Any:
    from matplotlib.font_manager import FontProperties

    return FontProperties(size=_POINTS, math_fontfamily="cm")


def _next(translator: Any) -> int:
    count = getattr(translator.builder, "_formulae", 0) + 1
    translator.builder._formulae = count
    return count


def _inline(self: Any, node: nodes.math) -> None:
    self.body.append(f'<span class="formula">{svg_of(node.astext(), _next(self))}</span>')
    raise nodes.SkipNode


def _block(self: Any, node: nodes.math_block) -> None:
    text = node.astext().replace(r"\frac", r"\dfrac")
    lines = [line.strip() for line in re.split(r"\\\\|\n\n", text) if line.strip()]
    drawn = "".join(f"<div>{svg_of(' '.join(line.split()), _next(self))}</div>" for line in lines)
    self.body.append(f'<div class="formula block">{drawn}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the two renderers under a name that Sphinx can choose."""
    app.add_html_math_renderer("mathtext", (_inline, None), (_block, None))
    app.config.html_math_renderer = "mathtext"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
