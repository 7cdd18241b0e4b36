"""The ML-BOM in finished wheels."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from support import ModelProject, Surroundings, make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from support import Index

_TRAIN = 'train = "small.main:train"'
_BOM = "small-0.1.0.dist-info/sboms/model.cdx.json"


def test_a_wheel_holds_a_valid_bom_of_its_model(
    project: ModelProject, index: Index, surroundings: Surroundings
) -> None:
    make_wheel(index.folder, "plotter", "3.0")
    project.write("data/train.csv", "1\n")
    project.replace(
        "pyproject.toml",
        (_TRAIN, f'{_TRAIN}\nsbom = true\ndependency-groups = ["plots"]\ninputs = ["data/*"]'),
        (
            "[tool.hatch.metadata",
            '[dependency-groups]\nplots = ["plotter"]\n\n[tool.hatch.metadata',
        ),
    )

    wheel = project.build(surroundings).wheel

    text = wheel.read(_BOM)
    bom = json.loads(text)
    assert bom["bomFormat"] == "CycloneDX"
    version = SchemaVersion.from_version(bom["specVersion"])
    assert JsonStrictValidator(version).validate_str(text) is None
    assert "serialNumber" not in bom
    assert "timestamp" not in bom["metadata"]

    model = bom["metadata"]["component"]
    weights = hashlib.sha256(wheel.read("small/data/weights.txt").encode()).hexdigest()
    assert (model["type"], model["name"]) == ("machine-learning-model", "small")
    assert model["version"] == "0.1.0"
    assert model["hashes"] == [{"alg": "SHA-256", "content": weights}]
    card = model["modelCard"]
    assert card["quantitativeAnalysis"]["performanceMetrics"] == [
        {"type": "accuracy", "value": "0.75"}
    ]
    assert card["modelParameters"]["datasets"] == [{"ref": "data:data/train.csv"}]

    components = {each["name"]: each for each in bom["components"]}
    data = components.pop("data/train.csv")
    assert data["type"] == "data"
    assert data["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(b"1\n").hexdigest()}]
    assert {each["type"] for each in components.values()} == {"library"}
    scopes = {
        each["purl"]: each["scope"]
        for name, each in components.items()
        if name in {"anchor", "chain", "plotter"}
    }
    assert scopes == {
        "pkg:pypi/anchor@1.2": "required",
        "pkg:pypi/chain@2.0": "required",
        "pkg:pypi/plotter@3.0": "excluded",
    }
    required = {each["purl"] for each in components.values() if each["scope"] == "required"}
    assert required == {f"pkg:pypi/{pin.replace('==', '@')}" for pin in wheel.requires}


def test_without_the_option_there_is_no_bom_and_nothing_installed_for_it(
    project: ModelProject, surroundings: Surroundings
) -> None:
    wheel = project.build(surroundings).wheel

    record = json.loads(wheel.read("small-0.1.0.dist-info/extra_metadata/model.json"))
    names = {each["name"] for each in record["environment"]}
    assert "anchor" in names
    assert "cyclonedx-python-lib" not in names
    assert "/sboms/" not in wheel.read("small-0.1.0.dist-info/RECORD")


def test_a_bom_without_its_library_is_refused_before_training(
    project: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    project.replace("pyproject.toml", (_TRAIN, f"{_TRAIN}\nsbom = true"))
    python = surroundings.make_environment(
        tmp_path / "environment", "hatchling", "hatch-model", "anchor"
    )
    out = tmp_path / "dist"

    built = surroundings.run(
        *("uv", "build", "--wheel", "--no-build-isolation"),
        *("--python", python, "--out-dir", out),
        cwd=project.folder,
        check=False,
    )

    assert built.returncode != 0
    assert (
        "hatch-model: error: `sbom = true` requires cyclonedx-python-lib>=8 and hatchling>=1.28. "
        "Build with isolation, so that the frontend installs it, or install it first.\n"
    ) in built.stdout
    assert "training with" not in built.stdout
    assert list(out.glob("*.whl")) == []
