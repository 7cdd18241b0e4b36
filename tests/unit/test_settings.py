"""What the two tables may say, and what a project is told that says something else."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hatchling.metadata.core import ProjectMetadata
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from hatch_model.entry_point import ObjectReference
from hatch_model.errors import SettingsError
from hatch_model.gates import Gate
from hatch_model.settings import (
    ModelSettings,
    PinPolicy,
    Settings,
    TrainingSettings,
    read_settings,
)
from hatch_model.tables import Root, requirement, specifier

_MODEL = 'dependencies = ["anchor>=1"]'
_LOCK_PATH = (
    'a relative path below the project root, where "uv.lock" may be the workspace\'s, or false'
)
_TRAINING = 'train = "small.main:train"'
_GROUPS = """
[dependency-groups]
run = ["anchor>=1", "chain[fast]; python_version >= '3.10'"]
notebooks = ["plots", { include-group = "tools" }]
tools = ["profiler>=2"]
"""


_DIRECT = "[tool.hatch.metadata]\nallow-direct-references = true"


def read(
    folder: Path,
    model: str = _MODEL,
    training: str = _TRAINING,
    *,
    project: str = 'name = "small"\nversion = "1"\ndynamic = ["dependencies"]',
    more: str = "",
    needs_training: bool = True,
) -> Settings:
    tables = {
        "project": project,
        "tool.hatch.metadata.hooks.model": model,
        "tool.hatch.build.hooks.model": training,
    }
    text = "\n".join(f"[{name}]\n{content}" for name, content in tables.items() if content)
    (folder / "pyproject.toml").write_text(f"{text}\n{more}", "utf-8")
    metadata: ProjectMetadata[Any] = ProjectMetadata(str(folder), None)
    return read_settings(metadata, needs_training=needs_training)


def refused(folder: Path, *tables: str, **options: Any) -> str:
    with pytest.raises(SettingsError) as refusal:
        read(folder, *tables, **options)
    return str(refusal.value)


# What is accepted


def test_hatchlings_context_fields_are_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXTRA", "fast")
    lines = ["near @ {root:uri}/near", "far[{env:EXTRA}]", "own @ https://x.test/${TOKEN}/a.zip"]

    model = read(tmp_path, f"dependencies = {json.dumps(lines)}", more=_DIRECT).model

    near, far, own = [root.requirement for root in model.roots]
    assert near.url == f"{tmp_path.as_uri()}/near"
    assert far.extras == {"fast"}
    assert own.url == "https://x.test/${TOKEN}/a.zip"


def test_what_uv_adds_to_the_project_is_told_to_go_to_the_group(tmp_path: Path) -> None:
    message = refused(
        tmp_path,
        'dependency-group = "model"',
        project='name = "small"\ndependencies = ["b"]\ndynamic = ["dependencies"]',
        more='[dependency-groups]\nmodel = ["a"]',
    )

    assert message == (
        'project.dependencies is static, although project.dynamic lists "dependencies"; move it to '
        "dependency-groups.model (`uv add --group model PACKAGE` adds to it)"
    )


def test_a_context_field_without_a_value_is_named(tmp_path: Path) -> None:
    line = 'dependencies = ["far @ https://x.test/{env:NOWHERE}"]'

    message = refused(tmp_path, line, more=_DIRECT)

    assert message.startswith(
        "tool.hatch.metadata.hooks.model.dependencies[0]: expected fields with a value ("
    )
    assert "NOWHERE" in message.partition("; found")[0]


_VALID = """
a; A.b_c-1; a[x]; a[x, y-z]>=1; a>=1.2; a >= 1.2, <2; a==1.*; a!=1.2.*; a~=1.2; a~=1.2.3; a @ https://h.example/a
a===x; a (>=1); a>=1rc1; a==1+local; a>=v1
"""
_INVALID = """
-a; a-; a.; a b; a 1; a>=; a,>=1; a>=1.; a=1; a>==1; a~=1; a~=1.*; a>=1.*; a<1.*; a[x; a[x,]; a[x y]; a[-x]; é
"""


def _each(lines: str) -> list[str]:
    return lines.strip().replace("\n", "; ").split("; ")


@pytest.mark.parametrize("line", [*_each(_VALID), "a; os_name == 'nt'", " a "])
def test_what_packaging_can_parse_is_a_requirement(line: str) -> None:
    Requirement(line)
    assert requirement(line) == line


@pytest.mark.parametrize("line", [*_each(_INVALID), "a>=1; b", "a\n>"])
def test_what_packaging_cannot_parse_is_no_requirement(line: str) -> None:
    with pytest.raises(InvalidRequirement):
        Requirement(line)
    with pytest.raises(InvalidRequirement):
        requirement(line)


@pytest.mark.parametrize(
    "text", [*_each(">=3.10; >= 3.10, <4; ==3.*; ~=3.10; ===x; >=3.10rc1; >=3,"), " >=3 "]
)
def test_what_packaging_can_parse_is_a_specifier(text: str) -> None:
    SpecifierSet(text)
    assert specifier(text) == text


@pytest.mark.parametrize("text", _each("3.10; >=; >=3.*; ~=3; =3; >=3 <4; >=3.; a>=3"))
def test_what_packaging_cannot_parse_is_no_specifier(text: str) -> None:
    with pytest.raises(InvalidSpecifier):
        SpecifierSet(text)
    with pytest.raises(InvalidSpecifier):
        specifier(text)


def test_two_keys_are_enough(tmp_path: Path) -> None:
    assert read(tmp_path) == Settings(
        model=ModelSettings(
            roots=(
                Root(
                    text="anchor>=1",
                    origin="tool.hatch.metadata.hooks.model.dependencies[0]",
                ),
            ),
            policy=PinPolicy(
                pins="all",
                local_versions="strip",
                direct_references="error",
                key="tool.hatch.metadata.hooks.model",
            ),
            requires_python="",
            python="any",
        ),
        training=TrainingSettings(
            key="tool.hatch.build.hooks.model",
            train=ObjectReference(module="small.main", attribute="train"),
            artifacts=None,
            arguments={},
            groups=(),
            group_names=(),
            lock=None,
            inputs=None,
            gates={},
            check=None,
            sbom=False,
            python_path=(),
            environment={},
            editable="skip",
        ),
    )


def test_every_key_is_read(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        """
        dependency-group = "run"
        pins = "direct"
        local-versions = "keep"
        direct-references = "version"
        requires-python = ">=3.10, <4"
        python = "minor"
        """,
        """
        train = " small.main : Trainer.run "
        artifacts = "src/small/weights/"
        arguments = { epochs = 3, rate = 0.1, deep = { layers = [64, 32], dropout = false } }
        dependency-groups = ["notebooks"]
        lock = "locks/uv.lock"
        python-path = [".", "lib"]
        environment = { OMP_NUM_THREADS = "1", EMPTY = "" }
        editable = "train"
        inputs = ["./data/*.csv", "raw/**"]
        gates = { accuracy = ">= 0.9", "val.loss" = "> 0, < 1" }
        check = "small.main:check"
        sbom = true
        """,
        project='name = "small"\ndynamic = ["version", "requires-python", "dependencies"]',
        more=_GROUPS,
    )

    assert settings == Settings(
        model=ModelSettings(
            roots=(
                Root(text="anchor>=1", origin="dependency-groups.run[0]"),
                Root(
                    text="chain[fast]; python_version >= '3.10'",
                    origin="dependency-groups.run[1]",
                ),
            ),
            policy=PinPolicy(
                pins="direct",
                local_versions="keep",
                direct_references="version",
                key="tool.hatch.metadata.hooks.model",
            ),
            group="run",
            requires_python=">=3.10, <4",
            python="minor",
        ),
        training=TrainingSettings(
            key="tool.hatch.build.hooks.model",
            train=ObjectReference(module="small.main", attribute="Trainer.run"),
            artifacts=PurePosixPath("src/small/weights"),
            arguments={
                "epochs": 3,
                "rate": 0.1,
                "deep": {"layers": [64, 32], "dropout": False},
            },
            groups=(
                Root(text="plots", origin="dependency-groups.notebooks[0]"),
                Root(text="profiler>=2", origin="dependency-groups.tools[0]"),
            ),
            group_names=("notebooks",),
            lock=PurePosixPath("locks/uv.lock"),
            inputs=("data/*.csv", "raw/**/*"),
            gates={"accuracy": Gate(">= 0.9"), "val.loss": Gate("> 0, < 1")},
            check=ObjectReference(module="small.main", attribute="check"),
            sbom=True,
            python_path=(PurePosixPath(), PurePosixPath("lib")),
            environment={"OMP_NUM_THREADS": "1", "EMPTY": ""},
            editable="train",
        ),
    )


@pytest.mark.parametrize(
    ("spelled", "module", "attribute"),
    [
        ("iris.main:train", "iris.main", "train"),
        ("iris:train", "iris", "train"),
        ("_iris2.main_:Model.fit", "_iris2.main_", "Model.fit"),
        ("modèle.entraînement:entraîner", "modèle.entraînement", "entraîner"),
    ],
)
def test_an_object_reference_is_spelled_as_in_entry_points(
    spelled: str, module: str, attribute: str, tmp_path: Path
) -> None:
    settings = read(tmp_path, training=f'train = "{spelled}"')

    assert settings.training is not None
    assert settings.training.train == ObjectReference(module=module, attribute=attribute)
    assert str(settings.training.train) == spelled


def test_a_model_may_need_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, model="dependencies = []").model.roots == ()


def test_hatchlings_own_keys_of_a_build_hook_are_accepted(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        training=f"""
        {_TRAINING}
        enable-by-default = true
        require-runtime-dependencies = true
        require-runtime-features = ["gpu"]
        dependencies = ["compiler"]
        path = "unused.py"
        """,
    )

    assert settings == read(tmp_path)


def test_without_a_build_hook_there_is_nothing_to_train(tmp_path: Path) -> None:
    assert read(tmp_path, training="", needs_training=False).training is None


def test_addresses_are_pinned_with_hatchlings_permission(tmp_path: Path) -> None:
    more = "[tool.hatch.metadata]\nallow-direct-references = true"
    settings = read(tmp_path, f'{_MODEL}\ndirect-references = "url"', more=more)

    assert settings.model.policy.direct_references == "url"


def test_addresses_are_not_pinned_without_hatchlings_permission(tmp_path: Path) -> None:
    assert refused(tmp_path, f'{_MODEL}\ndirect-references = "url"') == (
        "tool.hatch.metadata.allow-direct-references: expected true, as "
        'tool.hatch.metadata.hooks.model.direct-references is "url"; it is missing'
    )


# What is refused, key by key

_NEEDS = "an array of PEP 508 strings, or `dependency-group` with the name of a group"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("pins = 'all'", f"dependencies: expected {_NEEDS}; it is missing"),
        (
            "dependencies = 'anchor'",
            'dependencies: expected an array, each entry a PEP 508 string; found "anchor"',
        ),
        (
            "dependencies = true",
            "dependencies: expected an array, each entry a PEP 508 string; found true",
        ),
        (
            "dependencies = { anchor = '1' }",
            "dependencies: expected an array, each entry a PEP 508 string; found a table",
        ),
        (
            "dependencies = ['anchor', 'anchor 1']",
            'dependencies[1]: expected a PEP 508 string; found "anchor 1"',
        ),
        ("dependencies = [true]", "dependencies[0]: expected a PEP 508 string; found true"),
        ("dependencies = ['']", 'dependencies[0]: expected a PEP 508 string; found ""'),
        (
            "dependencies = [{ include-group = 'run' }]",
            "dependencies[0]: expected a PEP 508 string; found a table",
        ),
        (
            "dependencies = [['anchor', 1.5, 1979-05-27, inf]]",
            'dependencies[0]: expected a PEP 508 string; found ["anchor", 1.5, 1979-05-27, inf]',
        ),
        (
            "dependencies = ['anchor']\ndependency-group = 'run'",
            'dependency-group: expected either `dependencies` or this, not both; found "run"',
        ),
        (
            "dependency-group = true",
            "dependency-group: expected the name of a dependency group; found true",
        ),
        (
            "dependency-group = ['run']",
            'dependency-group: expected the name of a dependency group; found ["run"]',
        ),
        (
            "dependency-group = ''",
            'dependency-group: expected the name of a dependency group; found ""',
        ),
        (
            "dependency-group = 'runs'",
            (
                "dependency-group: expected the name of a group in [dependency-groups]; "
                'found "runs"; did you mean `run`?'
            ),
        ),
        (f"{_MODEL}\npins = 'most'", 'pins: expected "all" or "direct" or "extra"; found "most"'),
        (f"{_MODEL}\npins = true", 'pins: expected "all" or "direct" or "extra"; found true'),
        (
            f"{_MODEL}\nlocal-versions = 'drop'",
            'local-versions: expected "strip" or "keep"; found "drop"',
        ),
        (
            f"{_MODEL}\nlocal-versions = false",
            'local-versions: expected "strip" or "keep"; found false',
        ),
        (
            f"{_MODEL}\ndirect-references = 'URL'",
            'direct-references: expected "error" or "url" or "version"; found "URL"',
        ),
        (
            f"{_MODEL}\ndirect-references = true",
            'direct-references: expected "error" or "url" or "version"; found true',
        ),
        (
            f"{_MODEL}\nrequires-python = '>=3.10'",
            'requires-python: expected project.dynamic to list "requires-python"; found ">=3.10"',
        ),
        (
            f"{_MODEL}\nrequires-python = '3.10'",
            'requires-python: expected a version specifier such as ">=3.10"; found "3.10"',
        ),
        (
            f"{_MODEL}\nrequires-python = 3.10",
            'requires-python: expected a version specifier such as ">=3.10"; found 3.1',
        ),
        (
            f"{_MODEL}\nrequires-python = ''",
            'requires-python: expected a version specifier such as ">=3.10"; found ""',
        ),
        (f"{_MODEL}\npin = 'all'", "pin: unknown key; did you mean `pins`?"),
        (
            f"{_MODEL}\nlocal_versions = 'keep'",
            "local_versions: unknown key; did you mean `local-versions`?",
        ),
        (
            f"{_MODEL}\nx = 1",
            (
                "x: unknown key; known keys are `dependencies`, `dependency-group`, "
                "`direct-references`, `local-versions`, `optional-dependencies`, `pins`, `python`, `requires-python`"
            ),
        ),
    ],
)
def test_the_metadata_hooks_table_is_checked(tmp_path: Path, table: str, message: str) -> None:
    assert refused(tmp_path, table, more=_GROUPS) == f"tool.hatch.metadata.hooks.model.{message}"


_DYNAMIC = 'name = "small"\nversion = "1"\ndynamic = ["dependencies", "optional-dependencies"]'


def test_an_extra_of_the_pins_stands_beside_those_in_the_table(tmp_path: Path) -> None:
    table = f"{_MODEL}\npins = 'extra'\noptional-dependencies = {{ plots = ['draw>=2', 'ink'] }}"

    model = read(tmp_path, table, project=_DYNAMIC).model

    assert (model.policy.pins, model.extras) == ("extra", {"plots": ("draw>=2", "ink")})


_EXTRAS = "tool.hatch.metadata.hooks.model.optional-dependencies"


@pytest.mark.parametrize(
    ("table", "project", "message"),
    [
        (
            "pins = 'extra'",
            'name = "small"\nversion = "1"\ndynamic = ["dependencies"]',
            (
                'project.dynamic: expected to list "optional-dependencies", as pins = "extra" adds an '
                "extra; it is missing"
            ),
        ),
        (
            "pins = 'extra'",
            (
                'name = "small"\nversion = "1"\ndynamic = ["dependencies"]\n'
                "optional-dependencies = { plots = ['draw'] }"
            ),
            (
                'project.dynamic: expected to list "optional-dependencies", as pins = "extra" adds an '
                f"extra. Move project.optional-dependencies to {_EXTRAS}; it is missing"
            ),
        ),
        (
            "optional-dependencies = { plots = ['draw'] }",
            _DYNAMIC,
            (
                f'{_EXTRAS}: expected no such key without pins = "extra"; list extras in '
                "project.optional-dependencies; found a table"
            ),
        ),
        (
            "pins = 'extra'\noptional-dependencies = ['draw']",
            _DYNAMIC,
            f'{_EXTRAS}: expected a table of arrays of PEP 508 strings; found ["draw"]',
        ),
        (
            "pins = 'extra'\noptional-dependencies = { plots = ['draw>'] }",
            _DYNAMIC,
            f'{_EXTRAS}.plots[0]: expected a PEP 508 string; found "draw>"',
        ),
        (
            "pins = 'extra'\noptional-dependencies = { pinned = ['draw'] }",
            _DYNAMIC,
            (
                f'{_EXTRAS}.pinned: expected another name, as pins = "extra" makes this extra; found '
                '["draw"]'
            ),
        ),
    ],
)
def test_an_extra_of_the_pins_needs_room(
    table: str, project: str, message: str, tmp_path: Path
) -> None:
    assert refused(tmp_path, f"{_MODEL}\n{table}", project=project) == message


def test_a_dynamic_requires_python_needs_its_base(tmp_path: Path) -> None:
    project = 'name = "small"\ndynamic = ["dependencies", "requires-python"]'

    assert refused(tmp_path, project=project) == (
        "tool.hatch.metadata.hooks.model.requires-python: expected a version specifier, as "
        "project.dynamic lists the field; it is missing"
    )


_GATE = 'a comparison such as ">= 0.9", or two such as ">= 0.9, < 1"'
_TRAIN = 'an object reference "package.module:function" or the path of a script such as "train.py"'
_PLAIN = "a string, boolean, finite number, array or table"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "editable = 'skip'",
            f"train: expected {_TRAIN}; it is missing",
        ),
        *(
            (
                f"train = {value}",
                f"train: expected {_TRAIN}; found {found}",
            )
            for value, found in [
                ("true", "true"),
                ("''", '""'),
                ("'small.main'", '"small.main"'),
                ("'small.main.train()'", '"small.main.train()"; did you mean `small.main:train`?'),
                ("'small-er.main:train'", '"small-er.main:train"; did you mean `small_er.main:train`?'),
                ("'small.main.train'", '"small.main.train"; did you mean `small.main:train`?'),
                (
                    "'small/main.py:train'",
                    '"small/main.py:train"; did you mean `small.main:train`?',
                ),
                (
                    "'./src/small/main.py:train'",
                    '"./src/small/main.py:train"; did you mean `small.main:train`?',
                ),
                ("'/train.py'", '"/train.py"'),
                ("'../train.py'", '"../train.py"'),
                (r"'scripts\train.py'", r'"scripts\\train.py"'),
                ("'train.ipynb'", '"train.ipynb"'),
                ("'small.main:'", '"small.main:"'),
                ("':train'", '":train"'),
                ("'small..main:train'", '"small..main:train"'),
                ("'small.2main:train'", '"small.2main:train"'),
                ("'small.main:train [gpu]'", '"small.main:train [gpu]"'),
                ("['small.main:train']", '["small.main:train"]'),
            ]
        ),
        *(
            (
                f"{_TRAINING}\nlock = {value}",
                f"lock: expected {_LOCK_PATH}; found {found}",
            )
            for value, found in [
                ("true", "true"),
                ("'../../uv.lock'", '"../../uv.lock"'),
                ("''", '""'),
                ("0", "0"),
            ]
        ),
        *(
            (
                f"{_TRAINING}\nartifacts = {value}",
                f"artifacts: expected a relative path below the project root; found {found}",
            )
            for value, found in [
                ("true", "true"),
                ("''", '""'),
                ("'.'", '"."'),
                ("'../data'", '"../data"'),
                ("'src/../../data'", '"src/../../data"'),
                ("'/data'", '"/data"'),
                (r"'src\small\data'", r'"src\\small\\data"'),
                ("'C:/data'", '"C:/data"'),
                ("['data']", '["data"]'),
            ]
        ),
        (f"{_TRAINING}\narguments = 3", "arguments: expected a table; found 3"),
        (f"{_TRAINING}\narguments = ['epochs']", 'arguments: expected a table; found ["epochs"]'),
        (
            f"{_TRAINING}\narguments = {{ output_dir = 'here' }}",
            ("arguments.output_dir: expected no such argument, as the build passes it itself; "
            'found "here"'),
        ),
        (
            f"{_TRAINING}\narguments = {{ report_dir = 3 }}",
            ("arguments.report_dir: expected no such argument, as the build passes it itself; "
            "found 3"),
        ),
        (
            f"{_TRAINING}\narguments.until = 2026-11-23",
            f"arguments.until: expected {_PLAIN}; found 2026-11-23",
        ),
        (
            f"{_TRAINING}\narguments.rate = nan",
            f"arguments.rate: expected {_PLAIN}; found nan",
        ),
        (
            f"{_TRAINING}\narguments.deep = {{ rates = [0.1, -inf] }}",
            f"arguments.deep.rates[1]: expected {_PLAIN}; found -inf",
        ),
        (
            f"{_TRAINING}\ndependency-groups = 'notebooks'",
            ("dependency-groups: expected an array, each entry the name of a dependency group; "
            'found "notebooks"'),
        ),
        (
            f"{_TRAINING}\ndependency-groups = ['tools', false]",
            "dependency-groups[1]: expected the name of a dependency group; found false",
        ),
        (
            f"{_TRAINING}\ndependency-groups = ['tools', 'notebook']",
            ("dependency-groups[1]: expected the name of a group in [dependency-groups]; "
            'found "notebook"; did you mean `notebooks`?'),
        ),
        (
            f"{_TRAINING}\npython-path = 'lib'",
            ("python-path: expected an array, each entry a relative path within the project; "
            'found "lib"'),
        ),
        (
            f"{_TRAINING}\npython-path = ['lib', '../lib']",
            'python-path[1]: expected a relative path within the project; found "../lib"',
        ),
        (
            f"{_TRAINING}\npython-path = ['/lib']",
            'python-path[0]: expected a relative path within the project; found "/lib"',
        ),
        (
            f"{_TRAINING}\npython-path = [true]",
            "python-path[0]: expected a relative path within the project; found true",
        ),
        (
            f"{_TRAINING}\nenvironment = 'A=1'",
            'environment: expected a table of strings; found "A=1"',
        ),
        (
            f"{_TRAINING}\nenvironment = {{ THREADS = 1 }}",
            "environment.THREADS must be a string, and is of type int",
        ),
        (
            f"{_TRAINING}\nenvironment = {{ DETERMINISTIC = true }}",
            "environment.DETERMINISTIC must be a string, and is of type bool",
        ),
        (
            f'{_TRAINING}\nenvironment = {{ NAME = "a\\u0000b" }}',
            "environment.NAME must not contain NUL",
        ),
        (
            f"{_TRAINING}\nenvironment = {{ 'A=B' = '1' }}",
            'environment: expected names of environment variables; found "A=B"',
        ),
        (
            f"{_TRAINING}\nenvironment = {{ '' = '1' }}",
            'environment: expected names of environment variables; found ""',
        ),
        (f"{_TRAINING}\neditable = true", 'editable: expected "skip" or "train"; found true'),
        (f"{_TRAINING}\neditable = 'no'", 'editable: expected "skip" or "train"; found "no"'),
        (
            f"{_TRAINING}\ninputs = 'data.csv'",
            ("inputs: expected an array, each entry a glob pattern below the project root; "
            'found "data.csv"'),
        ),
        *(
            (
                f"{_TRAINING}\ninputs = ['data.csv', {value}]",
                f"inputs[1]: expected a glob pattern below the project root; found {found}",
            )
            for value, found in [
                ("true", "true"),
                ("''", '""'),
                ("'.'", '"."'),
                ("'/data/*'", '"/data/*"'),
                ("'../data/*'", '"../data/*"'),
                ("'data/../../*'", '"data/../../*"'),
                ("'data/**.csv'", '"data/**.csv"'),
            ]
        ),
        (f"{_TRAINING}\ngates = '>= 0.9'", 'gates: expected a table of strings; found ">= 0.9"'),
        *(
            (
                f"{_TRAINING}\ngates = {{ accuracy = {value} }}",
                f"gates.accuracy: expected {_GATE}; found {found}",
            )
            for value, found in [
                ("0.9", "0.9"),
                ("true", "true"),
                ("''", '""'),
                ("'0.9'", '"0.9"'),
                ("'=> 0.9'", '"=> 0.9"'),
                ("'>= nan'", '">= nan"'),
                ("['>= 0.9', '< 1']", '[">= 0.9", "< 1"]'),
            ]
        ),
        *(
            (
                f"{_TRAINING}\ncheck = {value}",
                f'check: expected an object reference "package.module:function"; found {found}',
            )
            for value, found in [
                ("true", "true"),
                ("''", '""'),
                ("'small.main'", '"small.main"'),
                ("'small.main.check'", '"small.main.check"; did you mean `small.main:check`?'),
                ("'small.main:check()'", '"small.main:check()"; did you mean `small.main:check`?'),
            ]
        ),
        *(
            (
                f"{_TRAINING}\n{key} = '{value}'",
                f'{key}: expected {expected}; found "{value}"',
            )
            for key, expected in (
                ("artifacts", "a relative path below the project root"),
                ("lock", _LOCK_PATH),
            )
            for value in (256 * "x", 128 * "ü", "/".join(4 * [126 * "ü"]))
        ),
        *(
            (
                f"{_TRAINING}\n{key} = {wrapped}",
                f'{where}: expected {expected}; found "a\\u0000b"',
            )
            for key, wrapped, where, expected in [
                ("lock", r'"a\u0000b"', "lock", _LOCK_PATH),
                ("artifacts", r'"a\u0000b"', "artifacts", "a relative path below the project root"),
                (
                    *("python-path", r'["a\u0000b"]', "python-path[0]"),
                    "a relative path within the project",
                ),
                ("inputs", r'["a\u0000b"]', "inputs[0]", "a glob pattern below the project root"),
            ]
        ),
        (
            f"train = '{256 * 'x'}:train'",
            f'train: expected {_TRAIN}; found "{256 * "x"}:train"',
        ),
        (
            f"{_TRAINING}\narguments = {{ seed = 0x{5000 * 'f'} }}",
            f"arguments.seed: expected {_PLAIN}; found a number of more than 308 digits",
        ),
        (
            f"{_TRAINING}\nsbom = [[[[[[[[[[1]]]]]]]]]]",
            "sbom: expected true or false; found [[[[[[[[[…]]]]]]]]]",
        ),
        (
            f"{_TRAINING}\n[tool.hatch.build.hooks.model.arguments{900 * '.a'}]",
            f"arguments{65 * '.a'}: expected no more than 64 tables or arrays inside each other; found a table",
        ),
        (
            f"{_TRAINING}\nenvironment = {{ A = '{32_767 * 'x'}' }}",
            "environment.A must have at most 32767 characters, including the name",
        ),
        (f"{_TRAINING}\nsbom = 'yes'", 'sbom: expected true or false; found "yes"'),
        (f"{_TRAINING}\nsbom = 1", "sbom: expected true or false; found 1"),
        (f"{_TRAINING}\ngate = {{}}", "gate: unknown key; did you mean `gates`?"),
        (f"{_TRAINING}\nartifact = 'data'", "artifact: unknown key; did you mean `artifacts`?"),
        (f"{_TRAINING}\npython_path = ['.']", "python_path: unknown key; did you mean `python-path`?"),
    ],
)  # fmt: skip
def test_the_build_hooks_table_is_checked(tmp_path: Path, table: str, message: str) -> None:
    expected = f"tool.hatch.build.hooks.model.{message}"

    assert refused(tmp_path, training=table, more=_GROUPS) == expected


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    message = refused(
        tmp_path,
        'dependencies = ["anchor", "not a requirement", 5]\npins = "most"\ndepends = []',
        'tran = "small.main:train"\nartifacts = "../data"\ndependency-groups = ["x", "y"]',
        project='name = "small"\ndependencies = ["anchor"]',
    )

    assert message == (
        "10 problems in the project's configuration:\n"
        "  project.dependencies is static; move it to "
        'tool.hatch.metadata.hooks.model.dependencies and list "dependencies" in project.dynamic\n'
        "  tool.hatch.metadata.hooks.model.dependencies[1]: expected a PEP 508 string; "
        'found "not a requirement"\n'
        "  tool.hatch.metadata.hooks.model.dependencies[2]: expected a PEP 508 string; found 5\n"
        '  tool.hatch.metadata.hooks.model.pins: expected "all" or "direct" or "extra"; found "most"\n'
        "  tool.hatch.metadata.hooks.model.depends: unknown key; did you mean `dependencies`?\n"
        f"  tool.hatch.build.hooks.model.train: expected {_TRAIN}; it is missing\n"
        "  tool.hatch.build.hooks.model.artifacts: expected a relative path below the project root; "
        'found "../data"\n'
        "  tool.hatch.build.hooks.model.dependency-groups[0]: expected the name of a group in "
        '[dependency-groups]; found "x"\n'
        "  tool.hatch.build.hooks.model.dependency-groups[1]: expected the name of a group in "
        '[dependency-groups]; found "y"\n'
        "  tool.hatch.build.hooks.model.tran: unknown key; did you mean `train`?"
    )


def test_a_group_that_is_read_twice_is_reported_once(tmp_path: Path) -> None:
    message = refused(
        tmp_path,
        model='dependency-group = "run"',
        training=f'{_TRAINING}\ndependency-groups = ["run"]',
        more='[dependency-groups]\nrun = ["not a requirement"]',
    )

    assert message == (
        'dependency-groups.run[0]: expected a PEP 508 string or { include-group = "…" }; '
        'found "not a requirement"'
    )


# The tables around the two


@pytest.mark.parametrize(
    ("project", "message"),
    [
        ("", "project: expected a table with the project's name and version; it is missing"),
        (
            'dynamic = ["dependencies"]',
            "project.name: expected the project's name; it is missing",
        ),
        (
            'name = "sm all"\ndynamic = ["dependencies"]',
            'project.name: expected a valid name; found "sm all"',
        ),
        (
            'name = true\ndynamic = ["dependencies"]',
            "project.name: expected a valid name; found true",
        ),
        (
            'name = "small"\ndependencies = ["anchor"]',
            (
                "project.dependencies is static; move it to "
                'tool.hatch.metadata.hooks.model.dependencies and list "dependencies" in '
                "project.dynamic"
            ),
        ),
        (
            'name = "small"\ndependencies = []\ndynamic = ["dependencies"]',
            (
                'project.dependencies is static, although project.dynamic lists "dependencies"; '
                "move it to tool.hatch.metadata.hooks.model.dependencies (to use "
                "`uv add --group NAME PACKAGE`, keep the requirements in a group, and name it with "
                "`dependency-group`)"
            ),
        ),
        (
            'name = "small"',
            (
                'project.dynamic: expected "dependencies" among its entries, so that the build can '
                "write the pins there; it is missing"
            ),
        ),
        (
            'name = "small"\ndynamic = ["version"]',
            (
                'project.dynamic: expected "dependencies" among its entries, so that the build can '
                'write the pins there; found ["version"]'
            ),
        ),
        (
            'name = "small"\ndynamic = "dependencies"',
            'project.dynamic: expected an array; found "dependencies"',
        ),
        ('name = "small"\ndynamic = 5', "project.dynamic: expected an array; found 5"),
    ],
)
def test_the_project_must_leave_its_dependencies_open(
    tmp_path: Path, project: str, message: str
) -> None:
    assert refused(tmp_path, project=project) == message


_TABLES = {
    "project": 'project = { name = "small", dynamic = ["dependencies"] }',
    "model": f"tool.hatch.metadata.hooks.model = {{ {_MODEL} }}",
    "training": f"tool.hatch.build.hooks.model = {{ {_TRAINING} }}",
}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("project", "project = 5", "project: expected a table; found 5"),
        (
            "model",
            "tool.hatch.metadata.hooks.model = 5",
            "tool.hatch.metadata.hooks.model: expected a table; found 5",
        ),
        (
            "training",
            "tool.hatch.build.hooks.model = true",
            "tool.hatch.build.hooks.model: expected a table; found true",
        ),
        (
            "training",
            'tool.hatch.build.targets.wheel.hooks.model = "a:b"',
            'tool.hatch.build.targets.wheel.hooks.model: expected a table; found "a:b"',
        ),
        (
            "model",
            'tool.hatch.metadata.hooks.model.dependency-group = "run"\ndependency-groups = []',
            "dependency-groups: expected a table; found []",
        ),
    ],
)
def test_what_is_no_table_is_one_problem(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    more = "\n".join({**_TABLES, name: text}.values())

    assert refused(tmp_path, "", "", project="", more=more) == message


@pytest.mark.parametrize(
    "text",
    [
        "tool.hatch.build.targets.wheel = 5",
        "tool.hatch.build.targets.wheel.hooks = 5",
        "tool.hatch.build.hooks = 5",
    ],
)
def test_a_table_of_hatchlings_own_that_is_none_is_left_to_hatchling(
    tmp_path: Path, text: str
) -> None:
    more = f"{text}\n{_TABLES['project']}\n{_TABLES['model']}"

    settings = read(tmp_path, "", "", project="", more=more, needs_training=False)

    assert settings.training is None


def test_only_the_build_hook_is_configured(tmp_path: Path) -> None:
    assert refused(tmp_path, "") == (
        "tool.hatch.metadata.hooks.model: expected a table with the model's `dependencies`, as the "
        "build hook is on; it is missing"
    )


def test_only_the_metadata_hook_is_configured(tmp_path: Path) -> None:
    assert refused(tmp_path, _MODEL, "") == (
        "tool.hatch.build.hooks.model: expected a table with `train`, because a wheel would "
        "contain no model without it; it is missing"
    )


def test_the_wheels_own_hook_table_replaces_the_global_one(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        training='train = "never.read:this"\nartifacts = "../never"',
        more=f"[tool.hatch.build.targets.wheel.hooks.model]\n{_TRAINING}",
    )

    assert settings.training == TrainingSettings(
        key="tool.hatch.build.targets.wheel.hooks.model",
        train=ObjectReference(module="small.main", attribute="train"),
    )


def test_messages_name_the_wheels_own_hook_table(tmp_path: Path) -> None:
    message = refused(
        tmp_path,
        training="",
        more=f"[tool.hatch.build.targets.wheel.hooks.model]\n{_TRAINING}\neditable = true",
    )

    assert message == (
        'tool.hatch.build.targets.wheel.hooks.model.editable: expected "skip" or "train"; found true'
    )


@pytest.mark.parametrize(
    ("hatch_toml", "message"),
    [
        (
            "[metadata.hooks.model]\ndependencies = 5\n[build.hooks.model]\ntrain = 5",
            (
                "2 problems in the project's configuration:\n"
                "  hatch.toml: metadata.hooks.model.dependencies: expected an array, each entry a "
                "PEP 508 string; found 5\n"
                f"  hatch.toml: build.hooks.model.train: expected {_TRAIN}; found 5"
            ),
        ),
        (
            f"[build.targets.wheel.hooks.model]\n{_TRAINING}\neditable = 1",
            (
                'hatch.toml: build.targets.wheel.hooks.model.editable: expected "skip" or "train"; '
                "found 1"
            ),
        ),
        (
            "[build]\nreproducible = true",
            (
                "hatch.toml: build.hooks.model: expected a table with `train`, because a wheel "
                "would contain no model without it; it is missing"
            ),
        ),
        (
            f'[metadata.hooks.model]\n{_MODEL}\ndirect-references = "url"',
            (
                "hatch.toml: metadata.allow-direct-references: expected true, as "
                'hatch.toml: metadata.hooks.model.direct-references is "url"; it is missing'
            ),
        ),
    ],
)
def test_messages_say_that_a_key_stands_in_hatch_toml(
    tmp_path: Path, hatch_toml: str, message: str
) -> None:
    (tmp_path / "hatch.toml").write_text(hatch_toml, "utf-8")

    assert refused(tmp_path) == message


def test_a_hatch_toml_without_the_tables_leaves_them_to_pyproject(tmp_path: Path) -> None:
    (tmp_path / "hatch.toml").write_text("[envs.default]\nskip-install = true\n", "utf-8")

    assert refused(tmp_path, training=f"{_TRAINING}\neditable = 1") == (
        'tool.hatch.build.hooks.model.editable: expected "skip" or "train"; found 1'
    )
