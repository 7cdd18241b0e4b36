"""A new model project, from a template: one that builds at once."""

from __future__ import annotations

import keyword
import os
import re
import sys
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hatch_model.errors import HatchModelError, printable
from hatch_model.installed import is_local, parse_direct_url, without_credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

# With another suffix than the project's files: installers compile Python's.
_TEMPLATE = Path(__file__).parent / "template"

Format = Literal["joblib", "onnx", "safetensors"]
FORMATS: Mapping[str, tuple[Format, ...]] = {
    "scikit-learn": ("joblib", "onnx"),
    "pytorch": ("safetensors",),
}
"""The libraries to train with, and the formats for each one's models, the usual one first."""
CI_SYSTEMS = {
    "github": {"github/model.yml": ".github/workflows/model.yml"},
    "gitlab": {"gitlab/gitlab-ci.yml": ".gitlab-ci.yml"},
    "none": {},
}

_REQUIREMENTS: Mapping[Format, tuple[str, ...]] = {
    "joblib": ("joblib>=1.3", "scikit-learn>=1.6"),
    "onnx": ("numpy>=1.26", "onnxruntime>=1.20"),
    "safetensors": ("numpy>=1.26", "safetensors>=0.5", "torch>=2.6"),
}
_TRAINING: Mapping[Format, tuple[str, ...]] = {
    "joblib": ("matplotlib>=3.9",),
    "onnx": ("matplotlib>=3.9", "scikit-learn>=1.6", "skl2onnx>=1.18"),
    "safetensors": ("matplotlib>=3.9", "scikit-learn>=1.6"),
}
# The PyPA's rule for names, in which no two separators follow each other.
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


def own_source(root: Path) -> dict[str, str]:
    """Return the source of the installed hatch-model, as in tool.uv.sources of *root*.

    Empty if it is from an index, where uv finds it by itself.
    """
    text = distribution("hatch-model").read_text("direct_url.json")
    try:
        found = parse_direct_url(text) if text else {}
    except ValueError:
        found = {}
    if not found:
        return {}
    url = without_credentials(found["url"])
    if "vcs_info" in found:
        return {"git": url, "rev": found["vcs_info"]["commit_id"]}
    if not is_local(found):
        return {"url": url}
    place = Path(url2pathname(urlsplit(found["url"]).path))
    try:
        relative = os.path.relpath(place, root.resolve())
    except ValueError:  # on another drive
        relative = str(place)
    return {"path": Path(relative).as_posix()}


@dataclass(frozen=True, kw_only=True, slots=True)
class NewProject:
    """What a new project is to be."""

    name: str
    library: str
    format: Format
    ci: str
    source: Mapping[str, str] = field(default_factory=dict)
    """Where uv finds hatch-model, unless that is an index."""

    def __post_init__(self) -> None:
        """Raise HatchModelError for what cannot be combined, and for an impossible name."""
        if not _NAME.fullmatch(self.name) or not self.package.isidentifier():
            raise HatchModelError(
                f"`{printable(self.name)}` cannot be the name of a project: use letters, digits "
                f"and hyphens, with a letter first."
            )
        if keyword.iskeyword(self.package) or self.package in sys.stdlib_module_names | _TAKEN:
            raise HatchModelError(
                f"`{self.name}` cannot be the name of a project, because Python knows "
                f"`{self.package}` as something else. Choose another one."
            )
        formats = FORMATS[self.library]
        needed = [*_REQUIREMENTS[self.format], *_TRAINING[self.format]]
        if canonicalize_name(self.name) in {
            canonicalize_name(Requirement(each).name) for each in needed
        }:
            raise HatchModelError(
                f"`{self.name}` cannot be the name of a project that needs the package "
                f"`{self.name}`. Choose another one."
            )
        if self.format not in formats:
            raise HatchModelError(
                f"a model of {self.library} is saved as {' or '.join(formats)}, not as "
                f"{self.format}."
            )

    @property
    def package(self) -> str:
        """The import package."""
        return re.sub(r"[-.]+", "_", self.name).lower()

    def files(self) -> dict[PurePosixPath, str]:
        """Return the project's files, by their paths."""
        from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - slow

        environment = Environment(
            loader=FileSystemLoader(_TEMPLATE),
            autoescape=False,  # noqa: S701 - none of it is HTML, and the name is checked
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            # Others are in Python, TOML and the workflows' own templates.
            variable_start_string="<<",
            variable_end_string=">>",
            block_start_string="<%",
            block_end_string="%>",
        )
        return {
            PurePosixPath(place): environment.get_template(f"{name}.jinja").render(self._context())
            for name, place in self._places().items()
        }

    def _context(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "package": self.package,
            "library": self.library,
            "format": self.format,
            "requirements": _REQUIREMENTS[self.format],
            "training": _TRAINING[self.format],
            "source": self.source,
        }

    def _places(self) -> dict[str, str]:
        modules = ["__init__", "prediction", "training"]
        if self.library == "pytorch":
            modules.insert(1, "network")
        return {
            "pyproject.toml": "pyproject.toml",
            "README.md": "README.md",
            "gitignore": ".gitignore",
            **{f"src/package/{each}.py": f"src/{self.package}/{each}.py" for each in modules},
            "tests/conftest.py": "tests/conftest.py",
            "tests/test_prediction.py": "tests/test_prediction.py",
            **CI_SYSTEMS[self.ci],
        }


# A package of one of these names would hide what the project itself imports.
_TAKEN = frozenset(
    {
        *("hatch_model", "hatchling", "joblib", "matplotlib", "numpy", "onnxruntime", "pytest"),
        *("safetensors", "skl2onnx", "sklearn", "test", "tests", "torch"),
    }
)
