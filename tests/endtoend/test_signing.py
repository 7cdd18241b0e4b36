"""docs/signing.md: model-signing signs a wheel and an installed model, and finds what was changed."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import pytest
from checkout import CHECKOUT
from support import ModelProject, OnlineSurroundings, site_packages_of

if TYPE_CHECKING:
    from pathlib import Path

    from support import Surroundings

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(os.name == "nt", reason="the page is written for bash"),
]

_PAGE = (CHECKOUT / "docs/signing.md").read_text("utf-8")
_KEYS, _SIGN, _VERIFY, _SIGN_DATA, _VERIFY_DATA = re.findall(
    r"^```bash\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL
)[1:]


@pytest.mark.usefixtures("index")
def test_signatures_hold_for_the_wheel_and_for_what_was_installed_from_it(
    surroundings: Surroundings, tmp_path: Path
) -> None:
    surroundings.environment["UV_PYTHON"] = sys.executable
    project = ModelProject.copy("pipelines", tmp_path / "project")
    folder = project.folder
    surroundings.run("uv", "lock", cwd=folder)
    surroundings.run("uv", "build", cwd=folder)
    (wheel,) = folder.glob("dist/*.whl")

    online = OnlineSurroundings(
        index=surroundings.index,
        temporary=tmp_path / "tmp-online",
        find_links=surroundings.find_links,
        caches=surroundings.caches,
    )
    for command in (_KEYS, _SIGN, _SIGN_DATA):
        online.run("bash", "-ec", command, cwd=folder)

    again = tmp_path / "again"
    surroundings.run(
        "uv", "build", "--wheel", "--out-dir", again, cwd=folder, HATCH_MODEL_RETRAIN="1"
    )
    (rebuilt,) = again.glob("*.whl")
    verify = _VERIFY.replace(f" {wheel.name}\n", f" {rebuilt}\n")
    assert "Verification succeeded" in online.run("bash", "-ec", verify, cwd=folder).stdout
    rebuilt.write_bytes(rebuilt.read_bytes() + b"\0")
    refused = online.run("bash", "-ec", verify, cwd=folder, check=False)
    assert "Verification failed" in refused.stdout

    environment = tmp_path / "environment"
    surroundings.make_environment(environment, wheel)
    data = site_packages_of(environment) / "acme_wine/data"
    verify = re.sub(r"\S+\n$", f"{data}\n", _VERIFY_DATA)
    assert "Verification succeeded" in online.run("bash", "-ec", verify, cwd=folder).stdout
    (data / "weights.txt").write_text("0.7\n")
    refused = online.run("bash", "-ec", verify, cwd=folder, check=False)
    assert "Verification failed" in refused.stdout
