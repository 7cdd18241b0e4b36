"""Registers the hooks with hatchling, through the ``hatch`` entry point group."""

from __future__ import annotations

from hatchling.plugin import hookimpl

from hatch_model.build_hook import ModelBuildHook
from hatch_model.metadata_hook import ModelMetadataHook


@hookimpl
def hatch_register_build_hook() -> type[ModelBuildHook]:
    return ModelBuildHook


@hookimpl
def hatch_register_metadata_hook() -> type[ModelMetadataHook]:
    return ModelMetadataHook
