"""``python -m hatch_model``: the command line."""

from __future__ import annotations

from hatch_model.cli import main

if __name__ == "__main__":
    main()
