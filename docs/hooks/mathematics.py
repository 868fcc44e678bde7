"""LaTeX between $ or $$ becomes MathML when the site is built, so that a page needs no script to show it."""

import re
from html import unescape
from typing import Any

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)
INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)


def mathml(latex: str, display: str) -> str:
    """A formula as MathML. Raises PluginError for a command that the converter does not know: it would be shown as it is."""
    made = convert(unescape(latex).strip(), display=display)
    wrong = re.search(r"\\[A-Za-z]+|>&<|arithmatex", made)
    if wrong:
        raise PluginError(f"formula `{latex.strip()}`: `{wrong[0]}` is left over")
    return made


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Every formula of a page."""
    html = BLOCK.sub(lambda m: f'<div class="formula">{mathml(m[1], "block")}</div>', html)
    html = INLINE.sub(lambda m: mathml(m[1], "inline"), html)
    if "arithmatex" in html:
        raise PluginError(f"{page.file.src_uri}: a formula was not understood")
    return html
