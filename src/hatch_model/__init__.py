"""Hatchling plugin that makes a Python wheel the package format of a trained model."""

from __future__ import annotations
