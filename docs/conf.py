"""Settings of the documentation: uv run --group docs sphinx-build -W -n docs build/docs."""

from __future__ import annotations

project = "hatch-model"
author = "The hatch-model developers"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "hatch-model"
myst_heading_anchors = 3
# Snippets show what TOML and consoles print; not all of it is a language that pygments knows.
suppress_warnings = ["misc.highlighting_failure"]
html_show_copyright = False
