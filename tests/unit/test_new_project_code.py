"""What reading a Python file tells, without running it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest

from hatch_model.new_project.code import read_modules

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_model.new_project.code import Module


def read(folder: Path, text: str, name: str = "train.py", **others: str) -> Module:
    """Give what a file called *name* tells, beside *others* (`name__py`)."""
    for each, content in {name: text, **others}.items():
        file = folder / each.replace("__py", ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, "utf-8")
    return read_modules(folder)[PurePosixPath(name)]


@pytest.mark.parametrize(
    ("code", "path", "is_relative"),
    [
        ("joblib.dump(m, 'models/m.joblib')", "models/m.joblib", True),
        ("joblib.dump(value=m, filename='m.joblib')", "m.joblib", True),
        ("joblib.dump(m, os.path.join('models', 'm.joblib'))", "models/m.joblib", True),
        ("D = Path('models')\njoblib.dump(m, D / 'm.joblib')", "models/m.joblib", True),
        ("D = 'models'\njoblib.dump(m, f'{D}/m.joblib')", "models/m.joblib", True),
        ("D = 'models'\njoblib.dump(m, D + '/m.joblib')", "models/m.joblib", True),
        ("C = {'out': 'o/m.joblib'}\njoblib.dump(m, C['out'])", "o/m.joblib", True),
        ("H = Path(__file__).parent\njoblib.dump(m, H / 'm.joblib')", "src/m.joblib", False),
        (
            "H = Path(__file__).resolve().parents[1]\njoblib.dump(m, H.joinpath('m.joblib'))",
            "m.joblib",
            False,
        ),
        (
            "H = os.path.dirname(os.path.abspath(__file__))\njoblib.dump(m, os.path.join(H, 'm'))",
            "src/m",
            False,
        ),
        ("def f(out):\n    joblib.dump(m, out)\nf('o/m.joblib')", "o/m.joblib", True),
        ("def f(out='o/m.joblib'):\n    joblib.dump(m, out)", "o/m.joblib", True),
        (
            "p.add_argument('--out-file', default='o/m.joblib')\na = p.parse_args()\njoblib.dump(m, a.out_file)",
            "o/m.joblib",
            True,
        ),
        ("joblib.dump(m, f'models/{now()}.joblib')", "", False),
        ("joblib.dump(m, sys.argv[1])", "", False),
        ("a = a\njoblib.dump(m, a)", "", False),
        ("from settings import OUT\njoblib.dump(m, OUT)", "o/m.joblib", True),
        ("import settings\njoblib.dump(m, settings.OUT)", "o/m.joblib", True),
    ],
)
def test_the_path_of_a_saved_model_is_followed(
    code: str, path: str, *, is_relative: bool, tmp_path: Path
) -> None:
    text = f"import joblib, os, sys\nfrom pathlib import Path\n{code}\n"
    module = read(tmp_path, text, "src/train.py", settings__py="OUT = 'o/m.joblib'\n")

    (file,) = module.saved
    assert (file.path, file.format, file.is_relative) == (path, "joblib", is_relative)


@pytest.mark.parametrize(
    ("code", "format_", "path"),
    [
        ("import pickle\nwith open('m.pkl', 'wb') as f:\n    pickle.dump(m, f)", "pickle", "m.pkl"),
        ("import pickle\npickle.dump(m, open('m.pkl', 'wb'))", "pickle", "m.pkl"),
        (
            "import pickle\nwith open('a.json') as f:\n    f.read()\nwith Path('m.pkl').open('wb') as f:\n    pickle.dump(m, f)",
            "pickle",
            "m.pkl",
        ),
        ("from joblib import dump as save\nsave(m, 'm.joblib')", "joblib", "m.joblib"),
        ("import torch\ntorch.save(m.state_dict(), 'w.pt')", "torch", "w.pt"),
        ("booster.save_model('m.json')", "native", "m.json"),
        ("model.save('m.keras')", "native", "m.keras"),
        ("model.save_pretrained('bert')", "folder", "bert"),
        (
            "from safetensors.torch import save_file\nsave_file(w, 'm.safetensors')",
            "safetensors",
            "m.safetensors",
        ),
        ("with open('m.onnx', 'wb') as f:\n    f.write(o.SerializeToString())", "onnx", "m.onnx"),
    ],
)
def test_a_saved_model_is_recognized(code: str, format_: str, path: str, tmp_path: Path) -> None:
    module = read(tmp_path, f"from pathlib import Path\n{code}\n")

    assert [(each.format, each.path) for each in module.saved] == [(format_, path)]


def test_what_saves_something_else_saves_no_model(tmp_path: Path) -> None:
    text = "image.save('plot.png')\nframe.to_csv('out/a.csv')\nopen('log.txt', 'w').write('x')\n"
    module = read(tmp_path, text)

    assert module.saved == []
    assert module.written >= {"out/a.csv", "log.txt"}
    assert not module.trains


def test_paths_above_a_script_are_relative_to_its_folder(tmp_path: Path) -> None:
    text = "import joblib\nx = open('../data/x.csv')\njoblib.dump(x, '../models/m.joblib')\n"
    module = read(tmp_path, text, "notebooks/train.py")

    assert module.folder == PurePosixPath("notebooks")
    assert [*module.named] == ["data/x.csv"]
    assert module.saved[0].path == "models/m.joblib"


def test_a_variable_that_is_fitted_is_known_where_a_script_could_be_asked_for_it(
    tmp_path: Path,
) -> None:
    text = "a.fit(x)\nb = B().fit(x)\ndef f():\n    c.fit(x)\n"

    assert read(tmp_path, text).fitted == ["a", "b", ""]


@pytest.mark.parametrize(
    ("block", "main"),
    [
        ("main()", "main"),
        ("sys.exit(main())", "main"),
        ("x = 1\n    main()", ""),
        ("main(x)", ""),
    ],
)
def test_what_a_main_block_calls(block: str, main: str, tmp_path: Path) -> None:
    module = read(tmp_path, f"if __name__ == '__main__':\n    {block}\n")

    assert module.main == main


@pytest.mark.parametrize(
    ("body", "returns"),
    [
        ("pass", "nothing"),
        ("return", "nothing"),
        ("return 0", "nothing"),
        ("return {'a': 1}", "a mapping"),
        ("return metrics", "a mapping"),
        ("return model", "something else"),
        ("return model, {'a': 1}", "something else"),
    ],
)
def test_what_a_function_returns(body: str, returns: str, tmp_path: Path) -> None:
    module = read(tmp_path, f"def train(a, b=1, *, c):\n    {body}\n")

    assert module.functions["train"].returns == returns
    assert module.functions["train"].required == ("a", "c")


def test_tests_environments_and_what_is_no_python_are_left_out(tmp_path: Path) -> None:
    for name in ("tests/a.py", "test_b.py", ".venv/c.py", "env2/d.py", "build/e.py", "setup.py"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x = 1\n")
    (tmp_path / "env2/pyvenv.cfg").touch()
    (tmp_path / "broken.py").write_text("print 'Python 2'\n")
    (tmp_path / "kept.py").write_text("x = 1\n")

    assert [*map(str, read_modules(tmp_path))] == ["kept.py"]


def test_what_is_read_from_an_unknown_place_is_noted(tmp_path: Path) -> None:
    text = (
        "import pandas as pd\npd.read_csv('a/b.csv')\npd.read_csv(sys.argv[1])\nopen(name).read()\n"
    )

    assert read(tmp_path, text).unknown_reads == [3, 4]


def test_attributes_keep_their_value_in_other_methods(tmp_path: Path) -> None:
    text = (
        "import joblib, os\nclass T:\n    def __init__(self, out='o/models'):\n"
        "        self.path = os.path.join(out, 'm.joblib')\n"
        "    def run(self):\n        joblib.dump(self.m, self.path)\n"
    )

    assert read(tmp_path, text).saved[0].path == "o/models/m.joblib"


@pytest.mark.timeout(20)
def test_names_that_double_each_time_end(tmp_path: Path) -> None:
    lines = ["import joblib", "a0 = ''", *(f"a{n + 1} = a{n} + a{n}" for n in range(60))]
    module = read(tmp_path, "\n".join([*lines, "joblib.dump(m, a60)", "b = b + b"]))

    assert module.saved[0].path == ""
