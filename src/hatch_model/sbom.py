"""The record as a CycloneDX ML-BOM: the model, its metrics, its data and every package.

cyclonedx-python-lib writes everything except the model card, for which it has no classes
(https://cyclonedx.org/docs/1.7/json/#components_items_modelCard). The BOM has no serial number or
time: the same record gives the same bytes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hatch_model.record import to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cyclonedx.model import HashType
    from cyclonedx.model.component import Component

_MODEL = "model"


def make_bom(record: Mapping[str, Any]) -> bytes:
    """Return *record* as JSON in the newest version of CycloneDX that the library supports."""
    from cyclonedx.output import make_outputter  # noqa: PLC0415 - only for this option
    from cyclonedx.schema import OutputFormat, SchemaVersion  # noqa: PLC0415

    newest = max(SchemaVersion)
    text = make_outputter(_bom(record), OutputFormat.JSON, newest).output_as_string()
    document = json.loads(text)
    document.pop("serialNumber", None)
    document["metadata"].pop("timestamp", None)
    document["metadata"]["component"]["modelCard"] = _model_card(record)
    return to_bytes(document)


def _bom(record: Mapping[str, Any]) -> Any:
    from cyclonedx.model import Property  # noqa: PLC0415
    from cyclonedx.model.bom import Bom  # noqa: PLC0415
    from cyclonedx.model.bom_ref import BomRef  # noqa: PLC0415
    from cyclonedx.model.component import (  # noqa: PLC0415
        Component,
        ComponentScope,
        ComponentType,
    )

    model = Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=record["project"]["name"],
        version=record["project"]["version"],
        bom_ref=BomRef(_MODEL),
        hashes=_hashes(record["artifacts"][0]) if len(record["artifacts"]) == 1 else None,
        components=_files(ComponentType.FILE, record["artifacts"]),
        properties=[
            Property(name="hatch-model:entry-point", value=record["training"]["entry_point"])
        ],
    )
    packages = [*map(_package, [*record["environment"], *_pinned_elsewhere(record)])]
    data = _files(ComponentType.DATA, record["inputs"])
    bom = Bom(components=[*packages, *data])
    bom.metadata.component = model
    generator = record["generator"]
    bom.metadata.tools.components.add(
        Component(
            type=ComponentType.APPLICATION, name=generator["name"], version=generator["version"]
        )
    )
    required = [each for each in packages if each.scope is ComponentScope.REQUIRED]
    bom.register_dependency(model, required)
    return bom


def _pinned_elsewhere(record: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Return pins that are not installed here: a lock's pins for other platforms."""
    installed = {each["name"]: each["version"] for each in record["environment"]}
    for requirement in map(Requirement, record["pins"]):
        name = canonicalize_name(requirement.name)
        if name in installed and requirement.specifier.contains(installed[name], prereleases=True):
            continue
        for specifier in requirement.specifier:
            if specifier.operator == "==" and not specifier.version.endswith(".*"):
                yield {"name": name, "version": specifier.version, "use": "runtime"}


def _package(package: Mapping[str, str]) -> Component:
    from cyclonedx.model.bom_ref import BomRef  # noqa: PLC0415
    from cyclonedx.model.component import (  # noqa: PLC0415
        Component,
        ComponentScope,
        ComponentType,
    )
    from packageurl import PackageURL  # noqa: PLC0415

    purl = PackageURL("pypi", name=package["name"], version=package["version"])
    # "Excluded" is CycloneDX's term for components that are not used at run time.
    is_needed = package["use"] == "runtime"
    return Component(
        type=ComponentType.LIBRARY,
        name=package["name"],
        version=package["version"],
        purl=purl,
        bom_ref=BomRef(purl.to_string()),
        scope=ComponentScope.REQUIRED if is_needed else ComponentScope.EXCLUDED,
    )


def _files(kind: Any, files: Iterable[Mapping[str, Any]]) -> list[Component]:
    from cyclonedx.model.bom_ref import BomRef  # noqa: PLC0415
    from cyclonedx.model.component import Component  # noqa: PLC0415

    return [
        Component(
            type=kind,
            name=file["path"],
            bom_ref=BomRef(f"{kind.value}:{file['path']}"),
            hashes=_hashes(file),
        )
        for file in files
    ]


def _hashes(file: Mapping[str, Any]) -> list[HashType]:
    from cyclonedx.model import HashAlgorithm, HashType  # noqa: PLC0415

    return [HashType(alg=HashAlgorithm.SHA_256, content=file["sha256"])]


def _model_card(record: Mapping[str, Any]) -> dict[str, Any]:
    metrics = [
        {"type": name, "value": repr(value)} for name, value in sorted(record["metrics"].items())
    ]
    arguments = sorted(record["training"]["arguments"].items())
    return {
        "modelParameters": {
            "datasets": [{"ref": f"data:{file['path']}"} for file in record["inputs"]]
        },
        "quantitativeAnalysis": {"performanceMetrics": metrics},
        "properties": [
            {"name": f"hatch-model:argument:{name}", "value": json.dumps(value, sort_keys=True)}
            for name, value in arguments
        ],
    }
