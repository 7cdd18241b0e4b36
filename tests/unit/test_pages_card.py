"""Model cards for the Hugging Face Hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml
from models import run
from registries import model_wheel
from support import make_wheel

if TYPE_CHECKING:
    from pathlib import Path


def test_a_card_has_metadata_the_readme_and_the_facts(tmp_path: Path) -> None:
    wheel = model_wheel(
        tmp_path,
        metrics={"loss": 0.2, "accuracy": 0.9},
        gates={"loss": "<= 1"},
        arguments={"depth": "a|b"},
        readme="---\nlicense: gpl\n---\n# Iris\n\nRead me.",
    )

    card = run("inspect", wheel, "--markdown").out
    _, metadata, body = card.split("---\n", 2)
    assert yaml.safe_load(metadata) == {
        "license": "mit",
        "tags": ["hatch-model"],
        "metrics": ["loss", "accuracy"],
        "model-index": [
            {
                "name": "iris-model",
                "results": [
                    {
                        "task": {"type": "other"},
                        "dataset": {"type": "other", "name": "flowers.csv"},
                        "metrics": [
                            {"type": "loss", "name": "loss", "value": 0.2},
                            {"type": "accuracy", "name": "accuracy", "value": 0.9},
                        ],
                    }
                ],
            }
        ],
    }
    assert body.startswith("\n# Iris\n\nRead me.\n\n## Install\n")
    assert "| depth | a\\|b |" in body
    assert "| anchor | ==1.2 |" in body


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("MIT", {"license": "mit"}),
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("MIT OR Apache-2.0", {"license": "other", "license_name": "MIT OR Apache-2.0"}),
        ("LicenseRef-Acme", {"license": "other", "license_name": "LicenseRef-Acme"}),
    ],
)
def test_a_license_is_named_as_the_hub_does(
    name: str, metadata: dict[str, str], tmp_path: Path
) -> None:
    wheel = model_wheel(tmp_path, license_expression=name, metrics={})

    _, found, _ = run("inspect", wheel, "--markdown").out.split("---\n", 2)
    assert yaml.safe_load(found) == {**metadata, "tags": ["hatch-model"]}


def test_a_wheel_without_a_record_has_a_card(tmp_path: Path) -> None:
    card = run("inspect", make_wheel(tmp_path, "plain", "1"), "--markdown").out

    assert card.startswith("---\ntags:\n- hatch-model\n---\n\n# plain\n\n## Install\n")


def test_nothing_in_a_model_ends_the_metadata(tmp_path: Path) -> None:
    names = ['"', "a\n---\nb", "x\x7f\u2028", "é: [", "😀"]
    wheel = model_wheel(tmp_path, metrics=dict.fromkeys(names, 0.5), gates={})

    _, metadata, _ = run("inspect", wheel, "--markdown").out.split("---\n", 2)
    assert yaml.safe_load(metadata)["metrics"] == names


@pytest.mark.parametrize("value", [1e-05, -2.5e-7, 1e22, 5e-324, 0.5, 3, 10**400])
def test_a_metric_is_a_number_in_yaml(value: float, tmp_path: Path) -> None:
    wheel = model_wheel(tmp_path, metrics={"loss": value}, gates={})

    _, metadata, _ = run("inspect", wheel, "--markdown").out.split("---\n", 2)
    (result,) = yaml.safe_load(metadata)["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "loss", "name": "loss", "value": value}]


def test_only_one_format_is_printed(tmp_path: Path) -> None:
    assert run("inspect", model_wheel(tmp_path), "--json", "--markdown").code == 2
