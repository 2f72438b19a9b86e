"""Sphinx extension: formulas of the pages as MathML, which browsers draw themselves.

MathJax and KaTeX would need a script and fonts from the network or copied into the site; `sphinx.ext.imgmath` needs LaTeX.
docutils, which Sphinx brings, has a converter.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

if TYPE_CHECKING:
    from sphinx.application import Sphinx


NAME_BEFORE_SYMBOL = re.compile(r"(<mo>&ApplyFunction;</mo>)(?=\s*<m[in]>)")


def mathml(tex: str, *, block: bool = False) -> str:
    """A formula in TeX as MathML, with TeX's thin space between log and D in "log D", which docutils leaves out."""
    return NAME_BEFORE_SYMBOL.sub(r'\1<mspace width="0.17em"/>', tex2mathml(tex, as_block=block))


def inline(writer: Any, node: nodes.math) -> None:
    """Write a formula within a sentence."""
    writer.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def block(writer: Any, node: nodes.math_block) -> None:
    """Write a formula of its own."""
    writer.body.append(f'<div class="math" style="margin: 1rem 0">{mathml(node.astext(), block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer `mathml`."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
