"""Print facts about this Python as JSON: ``executable``, ``path``, ``markers``.

This script runs in interpreters that only have the standard library.
"""

from __future__ import annotations

import json
import os
import platform
import sys


def markers() -> dict[str, str]:
    """Return the marker values of PEP 508."""
    version = sys.implementation.version
    implementation_version = f"{version.major}.{version.minor}.{version.micro}"
    if version.releaselevel != "final":
        implementation_version += version.releaselevel[0] + str(version.serial)
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": implementation_version,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


if __name__ == "__main__":
    # The first entry is this script's folder.
    told = {"executable": sys.executable, "path": sys.path[1:], "markers": markers()}
    print(json.dumps(told))  # noqa: T201
