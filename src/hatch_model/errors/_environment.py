"""Errors in what is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_model.errors._root import HatchModelError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from packaging.requirements import Requirement


class BrokenDistributionError(HatchModelError):
    """An installed distribution's own metadata cannot be read."""

    def __init__(self, name: str, field: str, value: str) -> None:
        super().__init__(name, field, value)
        self.name = name
        self.field = field
        self.value = value

    def __str__(self) -> str:
        return (
            f"the installed {self.name} says `{self.field}: {self.value}`, which is not valid. "
            f"Install another release of it, or tell its maintainers."
        )


class RequirementError(HatchModelError):
    """The training environment does not hold what is required."""

    def __init__(self, requirement: Requirement, required_by: str) -> None:
        super().__init__(requirement, required_by)
        self.requirement = requirement
        self.required_by = required_by


class NotInstalledError(RequirementError):
    def __str__(self) -> str:
        return (
            f"{self.requirement.name} is not installed in the training environment, but "
            f"{self.required_by} asks for `{self.requirement}`. Build with isolation, so that the "
            f"frontend installs it, or install it first."
        )


class OutOfRangeError(RequirementError):
    def __init__(self, requirement: Requirement, required_by: str, version: str) -> None:
        super().__init__(requirement, required_by)
        self.version = version

    def __str__(self) -> str:
        return (
            f"{self.requirement.name} {self.version} is installed in the training environment, but "
            f"{self.required_by} asks for `{self.requirement}`. Build with isolation, so that the "
            f"frontend installs what fits, or install it first."
        )


class UnknownExtraError(RequirementError):
    def __init__(
        self,
        requirement: Requirement,
        required_by: str,
        extra: str,
        version: str,
        extras: Collection[str],
    ) -> None:
        super().__init__(requirement, required_by)
        self.extra = extra
        self.version = version
        self.extras = extras

    def __str__(self) -> str:
        known = f"only {_listed(self.extras)}" if self.extras else "no extras at all"
        return (
            f"{self.required_by} asks for `{self.requirement}`, but {self.requirement.name} "
            f"{self.version} has no extra `{self.extra}`; it has {known}."
        )


class DirectReferenceError(HatchModelError):
    """A package did not come from an index, and nobody said what to write for such."""

    def __init__(self, name: str, version: str, origin: str, key: str) -> None:
        super().__init__(name, version, origin, key)
        self.name = name
        self.version = version
        self.origin = origin
        self.key = key

    def __str__(self) -> str:
        return (
            f"{self.name} {self.version} was installed {self.origin}, so nobody else could install "
            f"the wheel from an index. Install it from an index, or set "
            f'{self.key}.direct-references to "url" (pin the address) or '
            f'"version" (pin the version, which an index must then have).'
        )


class LocalReferenceError(DirectReferenceError):
    """A package came from this machine, so its address means nothing elsewhere."""

    def __str__(self) -> str:
        return (
            f"{self.name} {self.version} was installed {self.origin}, an address that means nothing "
            f"on another machine. Install it from an index or a repository, or set "
            f'{self.key}.direct-references to "version" (pin the version, '
            f"which an index must then have)."
        )


class PinsChangedError(HatchModelError):
    """The wheel's metadata and the environment that trained the model disagree."""

    def __init__(self, in_metadata: Sequence[str], trained_with: Sequence[str]) -> None:
        super().__init__(in_metadata, trained_with)
        self.in_metadata = in_metadata
        self.trained_with = trained_with

    def __str__(self) -> str:
        lines = [
            *(
                f"\n  in the metadata: {line}"
                for line in _without(self.in_metadata, self.trained_with)
            ),
            *(
                f"\n  trained with:    {line}"
                for line in _without(self.trained_with, self.in_metadata)
            ),
        ]
        return (
            f"the dependencies in the wheel's metadata are not the versions that trained the model:"
            f"{''.join(lines)}\nNothing may change the environment or `project.dependencies` while "
            f"a model is built: look for an installation inside the training function, a `.pth` "
            f"file, or another metadata hook."
        )


class SharedMetadataError(HatchModelError):
    """An sdist and a wheel are built by one hatchling process with dynamic ``requires-python``."""

    def __str__(self) -> str:
        return (
            "hatchling builds the sdist and the wheel from one reading of the metadata here, and "
            "an sdist must leave the dynamic `requires-python` open. Build the targets one by one: "
            "`hatchling build -t sdist`, then `hatchling build -t wheel`."
        )


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _without(lines: Sequence[str], others: Sequence[str]) -> list[str]:
    return sorted(set(lines) - set(others))
