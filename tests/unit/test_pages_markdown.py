"""Markdown that anybody may have written."""

from __future__ import annotations

import pytest

from hatch_model.pages.markdown import render


@pytest.mark.parametrize(
    ("text", "html"),
    [
        (
            "# One\n### Two\n## Three\n# Four",
            "<h3>One</h3>\n<h4>Two</h4>\n<h4>Three</h4>\n<h3>Four</h3>\n",
        ),
        ("###### Deep", "<h3>Deep</h3>\n"),
        ("*a* **b** `c` ~~d~~", "<p><em>a</em> <strong>b</strong> <code>c</code> <s>d</s></p>\n"),
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n"),
        ("<div onclick=x>\n\nb", "<p>&lt;div onclick=x&gt;</p>\n<p>b</p>\n"),
        (
            "[a](https://e.org/?a=1&b=2)",
            '<p><a href="https://e.org/?a=1&amp;b=2" rel="nofollow noopener noreferrer">a</a></p>\n',
        ),
        ("[a](javascript:alert(1))", "<p>[a](javascript:alert(1))</p>\n"),
        ("[a](JAVASCRIPT:x) [b](data:x)", "<p>[a](JAVASCRIPT:x) [b](data:x)</p>\n"),
        ("[a](vbscript:x) [b](file:///etc)", "<p>[a](vbscript:x) [b](file:///etc)</p>\n"),
        ("[a](docs/x.md) [b](#c) [d](//e.org)", "<p>a b d</p>\n"),
        ("![a plot](https://e.org/x.png)", "<p>[a plot]</p>\n"),
        ("![](x.png)", "<p>[picture]</p>\n"),
        (
            "[![ci](https://e.org/b.svg)](https://e.org)",
            '<p><a href="https://e.org" rel="nofollow noopener noreferrer">[ci]</a></p>\n',
        ),
        (
            "```html\n<b>\n```",
            '<pre tabindex="0" role="group" aria-label="Code"><code>&lt;b&gt;\n</code></pre>\n',
        ),
        ("---\nlicense: mit\n---\n\ntext", "<p>text</p>\n"),
        ("3. a\n4. b", '<ol start="3">\n<li>a</li>\n<li>b</li>\n</ol>\n'),
        ("", ""),
    ],
)
def test_text_is_shown_and_can_do_nothing(text: str, html: str) -> None:
    assert render(text, level=3) == html


def test_a_table_can_be_scrolled_and_has_no_empty_headers() -> None:
    assert render("| | a |\n|---|---|\n| b | <i> |", level=3).replace("\n", "") == (
        '<div class="scroll" tabindex="0" role="group" aria-label="Table"><table><thead><tr><td></td>'
        "<th>a</th></tr></thead><tbody><tr><td>b</td><td>&lt;i&gt;</td></tr></tbody></table></div>"
    )


def test_headings_end_at_the_sixth_level() -> None:
    text = "\n".join(f"{level * '#'} {level}" for level in range(1, 7))
    assert render(text, level=4).count("<h6>") == 4
