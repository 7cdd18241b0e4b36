"""What a build is told by environment variables: hatchling hands no `config_settings` on."""

from __future__ import annotations

from hatchling.builders.config import env_var_enabled

RETRAIN = "HATCH_MODEL_RETRAIN"
"""Train, whatever has been trained before."""


def retrain_wanted() -> bool:
    return env_var_enabled(RETRAIN)
