"""The CycloneDX ML-BOM that is made of a record."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from hatch_model.sbom import make_bom

_RECORD: dict[str, Any] = {
    "project": {"name": "small", "version": "0.1.0"},
    "training": {
        "entry_point": "small.main:train",
        "arguments": {"rate": 0.1, "layers": [64, 32], "deep": {"b": 1, "a": "é"}},
    },
    "metrics": {"recall": 0.5, "accuracy": 0.75, "loss": 1e-300, "n": 10**30},
    "pins": ["anchor==1.2", "chain==2.0; python_version >= '3.10'"],
    "environment": [
        {"name": "anchor", "version": "1.2", "use": "runtime"},
        {"name": "chain", "version": "2.0+cpu", "use": "runtime"},
        {"name": "hatchling", "version": "1.33.0", "use": "training"},
    ],
    "artifacts": [{"path": "small/data/weights.txt", "sha256": "a" * 64, "size": 4}],
    "inputs": [
        {"path": "data/eins.csv", "sha256": "b" * 64, "size": 1},
        {"path": "data/zwei.csv", "sha256": "c" * 64, "size": 2},
    ],
    "generator": {"name": "hatch-model", "version": "0.1.0"},
}


def made_of(**changes: object) -> dict[str, Any]:
    """Give the BOM of a record with *changes*, which must be valid."""
    text = make_bom({**copy.deepcopy(_RECORD), **changes}).decode("utf-8")
    # The newest version that the library writes, and the official schema of that.
    assert JsonStrictValidator(max(SchemaVersion)).validate_str(text) is None
    document: dict[str, Any] = json.loads(text)
    assert document["specVersion"] == max(SchemaVersion).to_version()
    return document


def test_the_whole_of_a_bom() -> None:
    document = made_of()

    del document["$schema"], document["specVersion"]  # as new as the library
    assert document == {
        "bomFormat": "CycloneDX",
        "version": 1,
        "metadata": {
            "component": {
                "type": "machine-learning-model",
                "bom-ref": "model",
                "name": "small",
                "version": "0.1.0",
                "hashes": [{"alg": "SHA-256", "content": "a" * 64}],
                "components": [
                    {
                        "type": "file",
                        "bom-ref": "file:small/data/weights.txt",
                        "name": "small/data/weights.txt",
                        "hashes": [{"alg": "SHA-256", "content": "a" * 64}],
                    }
                ],
                "properties": [{"name": "hatch-model:entry-point", "value": "small.main:train"}],
                "modelCard": {
                    "modelParameters": {
                        "datasets": [{"ref": "data:data/eins.csv"}, {"ref": "data:data/zwei.csv"}]
                    },
                    "quantitativeAnalysis": {
                        "performanceMetrics": [
                            {"type": "accuracy", "value": "0.75"},
                            {"type": "loss", "value": "1e-300"},
                            {"type": "n", "value": "1000000000000000000000000000000"},
                            {"type": "recall", "value": "0.5"},
                        ]
                    },
                    "properties": [
                        {
                            "name": "hatch-model:argument:deep",
                            "value": '{"a": "\\u00e9", "b": 1}',
                        },
                        {"name": "hatch-model:argument:layers", "value": "[64, 32]"},
                        {"name": "hatch-model:argument:rate", "value": "0.1"},
                    ],
                },
            },
            "tools": {
                "components": [{"type": "application", "name": "hatch-model", "version": "0.1.0"}]
            },
        },
        "components": [
            {
                "type": "data",
                "bom-ref": "data:data/eins.csv",
                "name": "data/eins.csv",
                "hashes": [{"alg": "SHA-256", "content": "b" * 64}],
            },
            {
                "type": "data",
                "bom-ref": "data:data/zwei.csv",
                "name": "data/zwei.csv",
                "hashes": [{"alg": "SHA-256", "content": "c" * 64}],
            },
            {
                "type": "library",
                "bom-ref": "pkg:pypi/anchor@1.2",
                "name": "anchor",
                "version": "1.2",
                "purl": "pkg:pypi/anchor@1.2",
                "scope": "required",
            },
            {
                "type": "library",
                "bom-ref": "pkg:pypi/chain@2.0%2Bcpu",
                "name": "chain",
                "version": "2.0+cpu",
                "purl": "pkg:pypi/chain@2.0%2Bcpu",
                "scope": "required",
            },
            {
                "type": "library",
                "bom-ref": "pkg:pypi/hatchling@1.33.0",
                "name": "hatchling",
                "version": "1.33.0",
                "purl": "pkg:pypi/hatchling@1.33.0",
                "scope": "excluded",
            },
        ],
        "dependencies": [
            {"ref": "data:data/eins.csv"},
            {"ref": "data:data/zwei.csv"},
            {
                "ref": "model",
                "dependsOn": ["pkg:pypi/anchor@1.2", "pkg:pypi/chain@2.0%2Bcpu"],
            },
            {"ref": "pkg:pypi/anchor@1.2"},
            {"ref": "pkg:pypi/chain@2.0%2Bcpu"},
            {"ref": "pkg:pypi/hatchling@1.33.0"},
        ],
    }


def test_several_artifacts_have_a_hash_each_and_the_model_none() -> None:
    files = [{"path": f"small/data/{name}", "sha256": name * 64, "size": 1} for name in ("d", "e")]

    model = made_of(artifacts=files)["metadata"]["component"]

    assert "hashes" not in model
    assert [(each["name"], each["hashes"][0]["content"]) for each in model["components"]] == [
        ("small/data/d", "d" * 64),
        ("small/data/e", "e" * 64),
    ]


def test_a_model_without_metrics_arguments_inputs_and_requirements_has_a_valid_bom() -> None:
    document = made_of(
        metrics={},
        inputs=[],
        pins=[],
        environment=[],
        training={"entry_point": "small.main:train", "arguments": {}},
    )

    assert document["metadata"]["component"]["modelCard"] == {
        "modelParameters": {"datasets": []},
        "quantitativeAnalysis": {"performanceMetrics": []},
        "properties": [],
    }
    assert "components" not in document
    assert document["dependencies"] == [{"ref": "model"}]


def test_what_a_lock_pins_for_other_platforms_is_a_library_too() -> None:
    document = made_of(
        pins=[
            "anchor==1.2",
            "chain==2.0; sys_platform == 'linux'",
            "chain==1.9; sys_platform != 'linux'",
            "Win_Tool[fast]==3.1; sys_platform == 'win32'",
            "Win_Tool==3.1; sys_platform == 'cygwin'",
            "declared>=1; sys_platform == 'darwin'",
            "wild==1.*; sys_platform == 'darwin'",
            "at @ https://example.org/at-1.0.zip",
        ]
    )

    required = [each["purl"] for each in document["components"] if each.get("scope") == "required"]
    assert required == [
        "pkg:pypi/anchor@1.2",
        "pkg:pypi/chain@1.9",
        "pkg:pypi/chain@2.0%2Bcpu",
        "pkg:pypi/win-tool@3.1",
    ]
    (model,) = (each for each in document["dependencies"] if each["ref"] == "model")
    assert model["dependsOn"] == required


@pytest.mark.parametrize("name", ["\ud800", "", "a b", "ü", "x" * 1000, '"', "\n"])
def test_any_name_of_a_metric_is_valid(name: str) -> None:
    document = made_of(metrics={name: 0.5})

    card = document["metadata"]["component"]["modelCard"]
    assert card["quantitativeAnalysis"]["performanceMetrics"] == [{"type": name, "value": "0.5"}]


def test_odd_paths_are_valid() -> None:
    files = [{"path": "data/a b/ü#?%20.csv", "sha256": "b" * 64, "size": 1}]

    document = made_of(inputs=files, artifacts=files)

    assert [each["bom-ref"] for each in document["components"] if each["type"] == "data"] == [
        "data:data/a b/ü#?%20.csv"
    ]


@pytest.mark.parametrize("seed", ["0", "1"])
def test_the_same_record_gives_the_same_bytes_in_every_process(seed: str) -> None:
    script = (
        "import json, sys; from hatch_model.sbom import make_bom;"
        "sys.stdout.buffer.write(make_bom(json.load(sys.stdin)))"
    )

    completed = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(_RECORD).encode(),
        env={"PYTHONHASHSEED": seed, "SOURCE_DATE_EPOCH": "1000000000"},
        check=True,
        capture_output=True,
    )

    assert completed.stdout == make_bom(_RECORD)
