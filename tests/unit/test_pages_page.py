"""Pages about one model and about two: what they show, and that nothing in a model can act."""

from __future__ import annotations

import base64
import hashlib
import re
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import pytest
from models import Ran, install, make_model, run
from registries import SVG, as_picture, model_wheel, png
from support import make_sdist, make_wheel

from hatch_model.cli.open import open_model
from hatch_model.pages.content import Content, ReportFile, content_of
from hatch_model.pages.page import breakable, comparison_page, load_snippet, report_page, table_of

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'


class _Text(HTMLParser):
    """The tags of a page, and its text by the heading it is under."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {}
        self._heading: str | None = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in {"h1", "h2", "h3"}:
            self._heading = None

    def handle_data(self, data: str) -> None:
        if self._heading is None and data.strip():
            self._heading = data.strip()
        heading = self._heading or ""
        words = " ".join([self.sections.get(heading, ""), *data.split()])
        self.sections[heading] = words.strip()


def _read(page: str) -> _Text:
    text = _Text()
    text.feed(page.replace("<wbr>", ""))
    return text


def _content(model: Path) -> Content:
    with closing(open_model(str(model))) as opened:
        return content_of(opened)


def test_a_page_shows_all_that_is_known(tmp_path: Path) -> None:
    wheel = model_wheel(
        tmp_path,
        metrics={"accuracy": 0.957, "zeal": 3},
        gates={"zeal": "<= 5"},
        arguments={"depth": 3, "layers": [8, 4]},
        readme="# Iris\n\nRead **me**.",
        report={"confusion.svg": SVG, "roc.png": png(), "classes.csv": b"class,recall\nsetosa,1\n"},
        changes={
            "check": {"entry_point": "iris_model:check", "result": "setosa"},
            "lock": {"path": "uv.lock", "sha256": 64 * "9", "size": 10},
        },
    )

    shown = _read(report_page(_content(wheel))).sections
    assert shown["iris-model"].startswith("iris-model 0.1.0 Tells the species of an iris Wheel")
    assert "zeal 3 gate <= 5 held accuracy 0.957" in shown["iris-model"]
    assert shown["Plots"] == "Plots confusion.svg roc.png"
    assert shown["classes.csv"] == "classes.csv class recall setosa 1"
    assert "pip install iris-model==0.1.0" in shown["Install and load"]
    assert "model = joblib.load(path)" in shown["Install and load"]
    assert shown["Training"] == (
        "Training Function iris_model.training:train depth 3 layers [8, 4] Trained on CPython 3.12.1, "
        "Linux x86_64 Check iris_model:check returned setosa Lock uv.lock 999999999999 Commit "
        "c0ffee0000000000000000000000000000000000 Built by hatch-model 0.1.0"
    )
    assert "anchor ==1.2" in shown["Requires"]
    assert "iris_model/data/model.joblib 4 bytes 8d5c1b5a87c5" in shown["Artifacts and inputs"]
    assert shown["Iris"].startswith("Iris Read me . Written by hatch-model")


def test_a_script_is_not_called_a_function(tmp_path: Path) -> None:
    training = {"entry_point": "jobs/train.py", "arguments": {}}

    page = report_page(_content(model_wheel(tmp_path, changes={"training": training})))

    assert _read(page).sections["Training"].startswith("Training Script jobs/train.py Trained on")


def test_the_page_of_a_model_loads_nothing_and_allows_only_its_own_style(tmp_path: Path) -> None:
    page = report_page(_content(model_wheel(tmp_path, report={"a.png": png()})))

    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
        f"form-action 'none'"
    ).replace("'", "&#39;") in page
    tags = _read(page).tags
    assert {tag for tag, _ in tags} & {"script", "iframe", "object", "embed", "form"} == set()
    sources = [attributes["src"] for _, attributes in tags if "src" in attributes]
    assert sources == [as_picture("png", png())]
    assert not [attributes for _, attributes in tags if "style" in attributes]
    assert "url(" not in style and "@import" not in style


def test_nothing_in_a_model_becomes_a_tag(tmp_path: Path) -> None:
    wheel = model_wheel(
        tmp_path,
        metrics={HOSTILE: 0.5},
        gates={HOSTILE: ">= 0.1"},
        arguments={HOSTILE: HOSTILE},
        summary=HOSTILE,
        readme=f"# {HOSTILE}\n\n{HOSTILE}\n\n```\n{HOSTILE}\n```\n",
        report={
            "a.csv": f'{HOSTILE},b\n"{HOSTILE}",c\n'.encode(),
            "b.md": HOSTILE.encode(),
            "c.txt": HOSTILE.encode(),
            "d.html": HOSTILE.encode(),
            "e.svg": b"<svg onload=alert(1)><script>alert(1)</script></svg>",
            "f.png": HOSTILE.encode(),
        },
        changes={
            "check": {"entry_point": "a:b", "result": HOSTILE},
            "inputs": [{"path": HOSTILE, "sha256": 64 * "1", "size": 1}],
            "environment": [{"name": HOSTILE, "version": HOSTILE, "use": "runtime"}],
            "platform": {"system": HOSTILE, "machine": HOSTILE},
        },
    )
    content = _content(wheel)

    for page in (report_page(content), comparison_page(content, content)):
        tags = _read(page).tags
        assert "script" not in {tag for tag, _ in tags}
        assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
        pictures = [attributes["src"] for tag, attributes in tags if tag == "img"]
        assert all(each and each.startswith("data:image/svg+xml;base64,") for each in pictures)
    assert "d.html" in _read(report_page(content)).sections["Other files of the report"]


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.png", png(), "picture"),
        ("a.PNG", png(), "picture"),
        ("a.jpg", png(), "picture"),  # it goes by its content
        ("a.gif", b"GIF89a...", "picture"),
        ("a.jpg", b"\xff\xd8\xff\xe0", "picture"),
        ("a.webp", b"RIFF....WEBP", "picture"),
        ("a.wav", b"RIFF....WAVE", "other"),
        ("a.svg", SVG, "picture"),
        ("a.png", b"<html>", "other"),
        ("a.html", b"<html>", "other"),
        ("a.pdf", b"%PDF", "other"),
        ("a.csv", b"a,b\n", "table"),
        ("a.md", b"# a", "markdown"),
        ("a.md", 101_000 * b"#", "text"),
        ("a.json", b"{}", "text"),
        ("a.txt", b"\xff", "text"),
        ("a.txt", 201 * 1024 * b"x", "other"),
        ("a.png", png() + (2 << 20) * b"x", "other"),
        ("db/study.db", b"SQLite", "other"),
    ],
)
def test_a_report_shows_pictures_and_texts_and_names_the_rest(
    name: str, content: bytes, kind: str, tmp_path: Path
) -> None:
    (file,) = _content(model_wheel(tmp_path, report={name: content})).files

    assert (file.path, file.kind, file.size) == (name, kind, len(content))
    assert bool(file.content) == (kind != "other")


def test_a_report_shows_no_more_than_a_page_can_hold(tmp_path: Path) -> None:
    picture = png() + (1_900_000 * b"x")
    wheel = model_wheel(tmp_path, report={f"{index}.png": picture for index in range(6)})

    kinds = [file.kind for file in _content(wheel).files]
    assert kinds == [*(3 * ["picture"]), *(3 * ["other"])]


def test_a_file_of_the_report_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = {"path": "iris_model-0.1.0.dist-info/extra_metadata/report/a.png", "sha256": 64 * "0"}
    wheel = model_wheel(tmp_path, changes={"report": [{**missing, "size": 7}]})

    assert _content(wheel).files == [ReportFile(path="a.png", size=7, kind="other")]


def test_a_long_readme_is_cut_and_says_so(tmp_path: Path) -> None:
    readme = _content(model_wheel(tmp_path, readme=2_000_000 * "a")).readme

    assert readme.endswith("a\n\n… (the rest is in the archive)")
    assert len(readme) < 101_000


def test_contents_survive_json(tmp_path: Path) -> None:
    content = _content(model_wheel(tmp_path, report={"a.png": png()}, readme="# a"))

    assert Content.from_json(content.as_json()) == content


@pytest.mark.parametrize("made", [make_wheel, make_sdist])
def test_archives_without_a_record_have_a_page(made: object, tmp_path: Path) -> None:
    assert callable(made)
    page = report_page(_content(made(tmp_path, "plain", "1")))

    assert "This archive has no record of how a model was trained." in page


def test_two_models_are_shown_side_by_side(tmp_path: Path) -> None:
    one = model_wheel(tmp_path, report={"a.png": png()}, arguments={"depth": 3, "same": 1})
    other = model_wheel(
        tmp_path,
        version="0.2.0",
        metrics={"accuracy": 0.95},
        arguments={"depth": 4, "same": 1},
        report={"a.png": png(100), "b.svg": SVG},
        weights="0.6\n",
    )

    text = _read(comparison_page(_content(one), _content(other)))
    assert text.sections["Metrics"] == (
        "Metrics Metric iris-model 0.1.0 iris-model 0.2.0 Change Gate accuracy 0.9 0.95 +0.05 better >= 0.8"
    )
    assert text.sections["Arguments"] == (
        "Arguments Name iris-model 0.1.0 iris-model 0.2.0 depth 3 4"
    )
    assert text.sections["Artifacts"].startswith(
        "Artifacts Name iris-model 0.1.0 iris-model 0.2.0 iris_"
    )
    pictures = [attributes["alt"] for tag, attributes in text.tags if tag == "img"]
    assert pictures == [
        "Picture a.png of iris-model 0.1.0",
        "Picture a.png of iris-model 0.2.0",
        "Picture b.svg of iris-model 0.2.0",
    ]
    assert "Not in iris-model 0.1.0" in text.sections["b.svg"]


def test_equal_models_say_what_is_the_same(tmp_path: Path) -> None:
    content = _content(model_wheel(tmp_path))

    page = _read(comparison_page(content, content))
    assert page.sections["What changed"] == (
        "What changed The same in both: training, arguments, pins, inputs, artifacts, sources."
    )


def test_names_may_break_after_their_punctuation() -> None:
    assert breakable("a_b/c.d-e<f>&'\"") == (
        "a_<wbr>b/<wbr>c.<wbr>d-<wbr>e&lt;f&gt;&amp;&#39;&#34;"
    )


@pytest.mark.parametrize(
    ("path", "loaded"),
    [
        ("iris/data/model.joblib", "import joblib"),
        ("iris/data/model.onnx", "import onnxruntime"),
        ("iris/data/model.bin", 'files("iris") / "data" / "model.bin"'),
        ('iris/" + print(1) + "\\.bin', r'files("iris") / "\" + print(1) + \"\\.bin"'),
        ("iris-data/model.joblib", ""),
        ("model.joblib", ""),
    ],
)
def test_the_snippet_loads_what_python_can_find(path: str, loaded: str) -> None:
    snippet = load_snippet({"artifacts": [{"path": path, "size": 1}]})

    assert loaded in snippet
    assert bool(snippet) == bool(loaded)
    compile(snippet, "snippet", "exec")


def test_the_snippet_prefers_what_it_can_load() -> None:
    files = [{"path": "iris/data/big.bin", "size": 9}, {"path": "iris/data/m.onnx", "size": 1}]

    assert "m.onnx" in load_snippet({"artifacts": files})
    assert load_snippet({"artifacts": None}) == ""


@pytest.mark.parametrize(
    ("text", "columns", "rows"),
    [
        ("a,b\n1,2\n", ["a", "b"], [["1", "2"]]),
        ("a\n1,2\n\n3\n", ["a", ""], [["1", "2"], ["3", ""]]),
        ('"a,b",c\n', ["a,b", "c"], []),
    ],
)
def test_a_csv_file_is_a_table(text: str, columns: list[str], rows: list[list[str]]) -> None:
    table = table_of(ReportFile(path="a.csv", size=1, kind="table", content=text))

    assert table is not None
    assert (table.columns, table.rows, table.is_cut) == (columns, rows, False)


def test_a_long_table_is_cut_and_what_is_no_table_is_text() -> None:
    def parsed(content: str, path: str = "a.csv") -> object:
        return table_of(ReportFile(path=path, size=1, kind="table", content=content))

    table = table_of(ReportFile(path="a.csv", size=1, kind="table", content="a,b\n" * 500))
    assert table is not None
    assert (len(table.rows), table.is_cut) == (200, True)
    wide = table_of(ReportFile(path="a.tsv", size=1, kind="table", content="a\t" * 50))
    assert wide is not None
    assert (len(wide.columns), wide.is_cut) == (20, True)
    assert parsed("") is None
    assert parsed(f"a\n{200_000 * 'x'}\n") is None


# The command


def test_a_page_is_written_under_the_models_name_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = model_wheel(tmp_path)
    monkeypatch.chdir(tmp_path)

    for _ in range(2):
        assert run("report", wheel) == Ran("iris-model-0.1.0.html\n", "", 0)
    assert "<h1>iris-<wbr>model</h1>" in (tmp_path / "iris-model-0.1.0.html").read_text("utf-8")


def test_two_models_give_one_page_on_standard_output(tmp_path: Path) -> None:
    one, other = model_wheel(tmp_path), model_wheel(tmp_path, version="0.2")

    ran = run("report", one, other, "-o", "-")
    assert ran.code == 0
    assert "<title>iris-model 0.1.0 and iris-model 0.2</title>" in ran.out


def test_an_installed_model_has_the_same_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_model(tmp_path)
    monkeypatch.syspath_prepend(install(wheel, tmp_path / "site"))

    sizes = r"<li>(Wheel|Installed)</li>\s*(<li>[\d.]+ \w+</li>)?\s*"
    pages = [re.sub(sizes, "", run("report", model, "-o", "-").out) for model in (wheel, "small")]
    assert pages[0] == pages[1]


def test_a_file_that_is_no_page_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "notes.html"
    file.write_text("my notes")

    ran = run("report", model_wheel(tmp_path), "-o", file)
    assert ran == Ran(
        "",
        f"hatch-model: error: `{file}` is there already, and hatch-model did not write it. Move it "
        f"away.\n",
        1,
    )
    assert file.read_text() == "my notes"


def test_a_device_is_written_to_and_remains(tmp_path: Path) -> None:
    device = tmp_path / "null"
    device.symlink_to("/dev/null")

    assert run("report", model_wheel(tmp_path), "-o", device).code == 0
    assert device.readlink() == Path("/dev/null")
    assert run("report", model_wheel(tmp_path), "-o", tmp_path).code == 2


def test_a_page_is_opened_in_a_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)

    assert run("report", model_wheel(tmp_path), "-o", tmp_path / "a.html", "--open").code == 0
    assert opened == [(tmp_path / "a.html").as_uri()]
    assert run("report", model_wheel(tmp_path), "-o", "-", "--open").code == 2
