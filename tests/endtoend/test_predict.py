"""`predict`: how apps find the function of an installed model, and what people are told of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from checkout import CHECKOUT, online
from indexes import free_port, running
from models import contents, run
from support import FRONTENDS, ModelProject, Surroundings, interpreter_of

if TYPE_CHECKING:
    from pathlib import Path

_TRAIN = 'train = "small.main:train"'
_INFO = "small-0.1.0.dist-info"
_MODULE = '''
from importlib.resources import files


def predict(rows: list[float], *, scale: float = 2.0) -> list[float]:
    """Multiply each row."""
    weight = float((files("small") / "data/weights.txt").read_text())
    return [weight * scale * row for row in rows]


def check():
    return predict([1.0, 3.0])
'''


@pytest.fixture
def predicting(project: ModelProject) -> ModelProject:
    project.write("src/small/prediction.py", _MODULE)
    project.replace(
        "pyproject.toml",
        (
            _TRAIN,
            f'{_TRAIN}\ncheck = "small.prediction:check"\npredict = "small.prediction:predict"',
        ),
    )
    project.write("src/small/main.py", _WRITES)
    return project


_WRITES = """
def train(output_dir):
    (output_dir / "weights.txt").write_text("0.5")
"""
_SHOWN = "small.prediction:predict(rows: list[float], *, scale: float = 2.0) -> list[float]"


def _record(held: dict[str, bytes]) -> Any:
    return json.loads(held[f"{_INFO}/extra_metadata/model.json"])


@pytest.mark.parametrize("frontend", ["", *FRONTENDS])
def test_a_wheel_says_what_predicts_and_how(
    frontend: str, predicting: ModelProject, surroundings: Surroundings
) -> None:
    wheel = predicting.build(surroundings, frontend).wheel.path

    held = contents(wheel)
    assert held[f"{_INFO}/entry_points.txt"] == (
        b"[hatch_model.models]\nsmall = small.prediction:predict\n"
    )
    assert _record(held)["predict"] == {
        "entry_point": "small.prediction:predict",
        "parameters": [
            {"name": "rows", "kind": "positional or keyword", "annotation": "list[float]"},
            {"name": "scale", "kind": "keyword-only", "annotation": "float", "default": 2.0},
        ],
        "returns": "list[float]",
        "documentation": "Multiply each row.",
    }
    assert _record(held)["check"]["result"] == [1.0, 3.0]
    assert run("verify", wheel).code == 0
    assert f"predicts by   {_SHOWN}\n" in run("inspect", wheel).out


def test_whoever_has_it_installed_finds_it_by_the_projects_name(
    predicting: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    wheel = predicting.build(surroundings).wheel.path
    python = surroundings.make_environment(tmp_path / "app", wheel)

    found = surroundings.run(
        *(python, "-c"),
        "from importlib.metadata import entry_points\n"
        "(found,) = entry_points(group='hatch_model.models')\n"
        "print(found.name, found.load()([2.0], scale=3))",
        cwd=tmp_path,
    )

    assert found.stdout == "small [3.0]\n"


def test_the_projects_own_entry_points_stay(
    predicting: ModelProject, surroundings: Surroundings
) -> None:
    predicting.replace(
        "pyproject.toml",
        (
            "[tool.hatch.metadata",
            '[project.scripts]\nsmall = "small.main:train"\n\n[tool.hatch.metadata',
        ),
    )

    held = contents(predicting.build(surroundings).wheel.path)

    assert held[f"{_INFO}/entry_points.txt"] == (
        b"[console_scripts]\nsmall = small.main:train\n\n"
        b"[hatch_model.models]\nsmall = small.prediction:predict\n"
    )


def test_it_is_found_in_the_wheel_without_a_check_as_well(
    predicting: ModelProject, surroundings: Surroundings
) -> None:
    predicting.replace("pyproject.toml", ('check = "small.prediction:check"\n', ""))

    held = contents(predicting.build(surroundings).wheel.path)

    assert _record(held)["predict"]["documentation"] == "Multiply each row."
    assert _record(held)["check"] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("def predict(", "def guess("),
            (
                "tool.hatch.build.hooks.model.predict is `small.prediction:predict`, but "
                "`small.prediction` has no attribute `predict`."
            ),
        ),
        (
            ("from importlib", "import chain_tools\nfrom importlib"),
            (
                "the wheel does not pass its check: small.prediction:predict raised ModuleNotFoundError: "
                "No module named 'chain_tools'"
            ),
        ),
        (
            ("def predict(", "predict = 3\n\ndef guess("),
            (
                "the wheel does not pass its check: small.prediction:predict raised TypeError: it is not an "
                "ordinary function but of type `int`"
            ),
        ),
    ],
)
def test_what_cannot_predict_ends_the_build(
    change: tuple[str, str], message: str, predicting: ModelProject, surroundings: Surroundings
) -> None:
    predicting.replace("src/small/prediction.py", change)
    predicting.replace("pyproject.toml", ('check = "small.prediction:check"\n', ""))

    built = predicting.build(surroundings, check=False)

    assert f"hatch-model: error: {message}" in built.output
    assert not [*built.out.glob("*.whl")]


def test_a_wheel_from_a_trained_sdist_has_it(
    predicting: ModelProject, surroundings: Surroundings
) -> None:
    predicting.replace("pyproject.toml", (_TRAIN, f'sdist = "trained"\n{_TRAIN}'))

    built = predicting.build(surroundings, "uv build")

    held = contents(built.wheel.path)
    assert built.output.count("training with") == 1
    assert b"small = small.prediction:predict\n" in held[f"{_INFO}/entry_points.txt"]
    assert _record(held)["predict"]["returns"] == "list[float]"


def test_a_model_that_is_reused_is_described_as_the_code_is_now(
    predicting: ModelProject, surroundings: Surroundings
) -> None:
    predicting.replace(
        "pyproject.toml", (_TRAIN, f"inputs = []\n{_TRAIN}"), ("predict =", "# predict =")
    )
    predicting.build(surroundings)
    predicting.replace("pyproject.toml", ("# predict =", "predict ="))

    built = predicting.build(surroundings)

    assert "reusing the model" in built.output
    assert "predict" in _record(contents(built.wheel.path))


def test_a_changed_signature_shows_in_a_diff_and_on_a_page(
    predicting: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    one = predicting.build(surroundings, out=tmp_path / "one").wheel.path
    predicting.replace("src/small/prediction.py", ("scale: float = 2.0", "factor: float"))
    predicting.replace(
        "src/small/prediction.py", ("scale *", "factor *"), ("[1.0, 3.0]", "[1.0], factor=1")
    )
    other = predicting.build(surroundings, out=tmp_path / "other").wheel.path

    shown = run("diff", one, other).out
    page = tmp_path / "page.html"
    assert run("report", other, "-o", page).code == 0

    assert re.search(
        r"predicts by .*scale: float = 2\.0\).*factor: float\)", shown.replace("\n", " ")
    )
    text = re.sub(r"<wbr>", "", page.read_text("utf-8"))
    assert "predict(rows: list[float], *, factor: float) -&gt; list[float]" in text
    assert "Multiply each row." in text


_PAGE = (CHECKOUT / "docs/serving.md").read_text("utf-8")


@pytest.mark.network
@pytest.mark.skipif(os.name == "nt", reason="the server is ended with POSIX's signals")
def test_the_server_of_the_page_serves_every_model_that_is_installed(
    predicting: ModelProject, surroundings: Surroundings, shared_folder: Path, tmp_path: Path
) -> None:
    first = predicting.build(surroundings, out=tmp_path / "one").wheel.path
    predicting.replace("pyproject.toml", ('name = "small"', 'name = "other-model"'))
    predicting.replace("src/small/main.py", ("0.5", "10"))
    predicting.replace(
        "pyproject.toml",
        (
            "[tool.hatch.metadata",
            '[tool.hatch.build.targets.wheel.sources]\n"src/small" = "other"\n\n[tool.hatch.metadata',
        ),
        ("small.", "other."),
    )
    predicting.replace("src/small/prediction.py", ('"small"', '"other"'))
    predicting.replace(
        "pyproject.toml",
        (
            "[tool.hatch.build.targets.wheel.sources]",
            '[tool.hatch.build.targets.wheel]\npackages = ["src/small"]\n\n[tool.hatch.build.targets.wheel.sources]',
        ),
    )
    second = predicting.build(surroundings, out=tmp_path / "two").wheel.path
    variables = {**online(shared_folder), "UV_FIND_LINKS": str(surroundings.index.folder)}
    folder = tmp_path / "server"
    folder.mkdir()
    install = ("uv", "pip", "install", "--quiet", "--python", "venv", "fastapi", "uvicorn")
    for command in (("uv", "venv", "--quiet", "venv"), (*install, str(first), str(second))):
        subprocess.run(command, cwd=folder, env=variables, check=True)
    (code,) = re.findall(r"^```python\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)
    (folder / "server.py").write_text(code, "utf-8")
    (start,) = re.findall(r"^(uvicorn server:app) --port 8000$", _PAGE, re.MULTILINE)
    port, python = free_port(), interpreter_of(folder / "venv")

    with running(f"{python} -m {start} --port {port}", port, cwd=folder, environment=variables):
        overview = _ask(port, "")
        answers = [_ask(port, name, rows=[1.0, 2.0], scale=3) for name in ("small", "other-model")]
        errors = [_ask(port, "nothing", rows=[]), _ask(port, "small", rose=[])]

    assert overview == (
        200,
        dict.fromkeys(
            ("small", "other-model"),
            "(rows: list[float], *, scale: float = 2.0) -> list[float] Multiply each row.",
        ),
    )
    assert answers == [(200, [1.5, 3.0]), (200, [30.0, 60.0])]
    assert errors == [
        (404, {"detail": "There is no model nothing."}),
        (422, {"detail": "missing a required argument: 'rows'"}),
    ]


def _ask(port: int, path: str, **arguments: Any) -> tuple[int, Any]:
    data = json.dumps(arguments).encode() if arguments else None
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/{path}", data, {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
