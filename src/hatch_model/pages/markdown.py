"""Markdown that anybody may have written, as HTML that can do nothing but show text."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TAGS = frozenset(
    [
        "a",
        "blockquote",
        "br",
        "code",
        "del",
        "div",
        "em",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "li",
        "ol",
        "p",
        "pre",
        "s",
        "strong",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
_ATTRIBUTES = {
    "a": {"href"},
    "ol": {"start"},
    "pre": {"tabindex", "role", "aria-label"},
    "div": {"class", "tabindex", "role", "aria-label"},
}
_SCHEMES = frozenset({"http", "https", "mailto"})
_LOWEST_HEADING = 6
# The header of a model card on the Hugging Face Hub.
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n.*?\n---[ \t]*\n", re.DOTALL)


def without_front_matter(text: str) -> str:
    return _FRONT_MATTER.sub("", text, count=1)


def render(text: str, *, level: int) -> Markup:
    """Render *text*, whose highest heading becomes one of *level*.

    HTML in it is shown as text, pictures as their descriptions, and links lead to web pages or mail
    addresses only. There are no ids, so that nothing can take the place of the page's own.
    """
    parser = _parser()
    tokens = parser.parse(without_front_matter(text))
    _move_headings(tokens, level)
    _name_header_cells(tokens)
    for token in tokens:
        _make_scrollable(token)
        token.children = [*_harmless(token.children or [])]
    clean = nh3.clean(
        parser.renderer.render(tokens, parser.options, {}),
        tags=set(_TAGS),
        attributes=_ATTRIBUTES,
        url_schemes=set(_SCHEMES),
        link_rel="nofollow noopener noreferrer",
    )
    return Markup(clean)  # noqa: S704 - this is where it becomes safe


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


_SCROLLABLE = Markup('tabindex="0" role="group" aria-label="{}"')


def _make_scrollable(token: Token) -> None:
    """Let the keyboard scroll what can be wider than the page: code and tables."""
    if token.type in {"fence", "code_block"}:
        html = Markup("<pre {}><code>{}</code></pre>\n").format(
            _SCROLLABLE.format("Code"), token.content
        )
    elif token.type == "table_open":
        html = Markup('<div class="scroll" {}><table>').format(_SCROLLABLE.format("Table"))
    elif token.type == "table_close":
        html = Markup("</table></div>")
    else:
        return
    token.type, token.content = "html_block", str(html)


def _harmless(tokens: Sequence[Token]) -> Iterator[Token]:
    """Leave out pictures, and links that depend on where the text was."""
    leads = True
    for token in tokens:
        if token.type == "link_open":
            scheme, _, _ = str(token.attrs["href"]).partition(":")
            leads = scheme.lower() in _SCHEMES
        if token.type == "image":
            yield Token("text", "", 0, content=f"[{token.content or 'picture'}]")
        elif leads or token.type not in {"link_open", "link_close"}:
            yield token


def _move_headings(tokens: Sequence[Token], level: int) -> None:
    """Renumber the headings from *level* on, without gaps, which confuse screen readers."""
    around: list[int] = []
    tag = ""
    for token in tokens:
        if token.type == "heading_open":
            own = int(token.tag[1:])
            around = [each for each in around if each < own]
            tag = f"h{min(level + len(around), _LOWEST_HEADING)}"
            around.append(own)
        if token.type in {"heading_open", "heading_close"}:
            token.tag = tag


def _name_header_cells(tokens: Sequence[Token]) -> None:
    """Turn header cells without text into ordinary ones."""
    for index, token in enumerate(tokens):
        if token.type == "th_open" and not tokens[index + 1].content.strip():
            token.tag = tokens[index + 2].tag = "td"
