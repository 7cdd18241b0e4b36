"""The adversarial trial, for a tenth of its cases."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.frontend
@pytest.mark.skipif(sys.platform == "win32", reason="it limits processes as POSIX does")
@pytest.mark.parametrize("part", ["settings", "files", "kills", "pressures", "lies", "identity"])
def test_all_that_is_tried_holds(part: str) -> None:
    script = Path(__file__).parents[1] / "trial.py"

    completed = subprocess.run(
        [sys.executable, script, "--scale", "0.1", part],
        check=False,
        capture_output=True,
        text=True,
    )

    assert completed.returncode == 0, completed.stdout + completed.stderr
    ((tried, held),) = re.findall(rf"^{part} +(\d+) +(\d+) ", completed.stdout, re.MULTILINE)
    assert int(tried) == int(held) > 0
