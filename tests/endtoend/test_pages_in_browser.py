"""The real pages in a real browser: what people find, read and print, and what must never happen.

axe checks accessibility with all of its rules: in light and dark, on a screen and on a phone.
"""

from __future__ import annotations

import shutil
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from indexes import served
from models import run
from playwright.sync_api import sync_playwright
from registries import SVG, model_wheel, png

from hatch_model.index.folder import Index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Dialog, Page, Request

pytestmark = pytest.mark.browser

_HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
_README = f"""\
---
license: mit
---
# A model

### Skips a level

| | wide |
|---|---|
| a | {200 * "x"} |

```
{300 * "y"}
```

![a picture](https://example.org/x.png) <img src="https://example.org/y.png">
[a link](https://example.org/) [a script](javascript:alert(1)) {_HOSTILE}
"""

_QUOTES = f"\n{30 * '>'} quoted\n"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registry")
    wheels = [
        model_wheel(
            folder,
            version=f"0.{minor}.0",
            metrics={
                "accuracy": 0.9 + minor / 100,
                "log_loss": 1 / (minor + 1),
                "rows": 3e15 + minor,
            },
            gates={"accuracy": ">= 0.9", "log_loss": "<= 1.5, >= 0"},
            arguments={"depth": minor},
            requires=["anchor==1.2", f"chain=={minor}"],
            readme=_README,
            report={
                "confusion.svg": SVG.replace(b"<rect", b"<script>alert(1)</script><rect", 1),
                "roc.png": png(900, 300),
                "per class.csv": b"class,recall,\nsetosa,1,2\n",
                "notes.md": b"# Notes\n\n## More\n\ntext",
                "best.json": b'{"depth": 3}',
                "shap.html": b"<script>alert(1)</script>",
            },
        )
        for minor in range(3)
    ]
    wheels += [
        model_wheel(folder, "many-versions", f"1.{minor}", metrics={"mape": 10 + minor % 7})
        for minor in range(45)
    ]
    wheels.append(
        model_wheel(
            folder,
            "hostile-model",
            "2026.11.28.1234567890.post1+local.version.of.mine",
            metrics={_HOSTILE: 0.9, 90 * "m": 1e-12, 5_000 * "n": 1},
            gates={_HOSTILE: ">= 0.1"},
            arguments={_HOSTILE: _HOSTILE, 90 * "a": 5_000 * "b"},
            summary=_HOSTILE,
            readme=_README + "".join(f"{depth * '  '}- deep\n" for depth in range(30)) + _QUOTES,
            license_expression=f"LicenseRef-{200 * 'l'}",
            report={
                f"{150 * 'p'}.png": png(),
                "e.svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
                'a"b.csv': f"{_HOSTILE},x\n".encode(),
                "c.png": _HOSTILE.encode(),
            },
        )
    )
    index = Index(folder / "index", now=lambda: "2026-01-01T00:00:00Z")
    index.add(wheels)
    index.yank("iris-model", "0.1.0", f"wrong labels {_HOSTILE}")
    for name, models in (
        ("one", wheels[:1]),
        ("two", wheels[1:3]),
        ("hostile", wheels[-1:]),
        ("hostiles", [wheels[0], wheels[-1]]),
    ):
        run("report", *models, "-o", folder / "index" / f"report-{name}.html")
    return folder / "index"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on PATH; Debian's package has it")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


Scheme = Literal["light", "dark"]


@contextmanager
def _visited(
    browser: Browser,
    address: str,
    *,
    scheme: Scheme = "light",
    width: int = 1280,
    scripts: bool = True,
) -> Iterator[Page]:
    """Open a page, and refuse whatever it says to the console, asks for, or loads from elsewhere."""
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=scripts
    )
    said: list[str] = []
    page = context.new_page()
    own = (urlsplit(address).netloc, "")

    def refuse(dialog: Dialog) -> None:
        said.append(dialog.message)
        dialog.dismiss()

    def watch(request: Request) -> None:
        if urlsplit(request.url).netloc not in own:
            said.append(request.url)

    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: said.append(f"failed: {request.url}"))
    page.on("dialog", refuse)
    page.on("request", watch)
    page.goto(address)
    yield page
    context.close()
    assert said == []


_PAGES = [
    "index.html",
    "models/iris-model/index.html",
    "models/iris-model/0.2.0/index.html",
    "models/iris-model/0.1.0/index.html",
    "models/many-versions/index.html",
    "models/hostile-model/index.html",
    "models/hostile-model/2026.11.28.1234567890.post1+local.version.of.mine/index.html",
    "report-one.html",
    "report-two.html",
    "report-hostile.html",
    "report-hostiles.html",
]


@pytest.mark.parametrize("path", _PAGES)
@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 375), ("dark", 375)]
)
def test_a_page_is_accessible_and_as_wide_as_the_screen(
    path: str, scheme: Scheme, width: int, registry: Path, browser: Browser
) -> None:
    with (
        served(registry) as address,
        _visited(browser, f"{address}/{path}", scheme=scheme, width=width) as page,
    ):
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        found = Axe().run(page)
        assert [
            (each["id"], [node["target"] for node in each["nodes"]])
            for each in found.response["violations"]
        ] == []
        wide, screen = page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert wide <= screen
        broken = "[...document.images].filter(each => !each.naturalWidth).map(each => each.alt)"
        # An SVG without a size has none of its own.
        assert [each for each in page.evaluate(broken) if "e.svg" not in each] == []


def test_the_search_finds_models_by_name_description_and_metric(
    registry: Path, browser: Browser
) -> None:
    with served(registry) as address, _visited(browser, f"{address}/") as page:
        models, count = page.locator(".models > li:visible"), page.locator(".count")
        assert (models.count(), count.inner_text()) == (3, "3 models")
        for words, names, told in (
            ("iris-mod", ["iris-model"], "1 of 3 models"),
            ("MAPE", ["many-versions"], "1 of 3 models"),
            ("species log_loss", ["iris-model"], "1 of 3 models"),
            ("nothing", [], "0 of 3 models"),
            ("", ["hostile-model", "iris-model", "many-versions"], "3 of 3 models"),
        ):
            page.get_by_label("Search by name, description or metric").fill(words)
            assert page.locator(".models > li:visible h2").all_inner_texts() == names
            assert count.inner_text() == told
        page.get_by_role("link", name="iris-model").click()
        assert page.get_by_role("heading", level=1).inner_text() == "iris-model"


def test_all_models_are_listed_without_scripts(registry: Path, browser: Browser) -> None:
    with (
        served(registry) as address,
        _visited(browser, f"{address}/", scripts=False) as page,
    ):
        assert page.locator(".models > li:visible").count() == 3
        assert not page.get_by_label("Search").is_visible()
        page.goto(f"{address}/models/iris-model/index.html")
        assert 'url = "https://YOUR-INDEX/simple/"' in page.locator("pre").first.inner_text()


def test_a_model_shows_its_history(registry: Path, browser: Browser) -> None:
    with (
        served(registry) as address,
        _visited(browser, f"{address}/models/iris-model/index.html") as page,
    ):
        charts = page.locator("svg.chart")
        assert charts.count() == 3
        for index in range(3):
            points = charts.nth(index).locator("circle")
            assert points.count() == 3
            assert "0.1.0" in (points.nth(1).locator("title").text_content() or "")
        assert charts.first.locator(".gate").count() == 1
        assert charts.first.locator(".hollow").count() == 1
        rows = page.locator("table").first.locator("tbody tr").all_inner_texts()
        assert [row.split()[0] for row in rows] == ["0.2.0", "0.1.0", "0.0.0"]
        assert "wrong labels <script>" in rows[1]
        assert page.locator("details[open] summary").inner_text() == (
            "0.0.0 → 0.2.0 1 argument, 1 pin"
        )


def test_the_snippets_have_the_address_of_the_index(registry: Path, browser: Browser) -> None:
    with (
        served(registry) as address,
        _visited(browser, f"{address}/models/iris-model/index.html") as page,
    ):
        settings, install, load = page.locator("pre").all_inner_texts()[:3]
        assert f'url = "{address}/simple/"' in settings
        assert install.startswith(f'pip install "iris-model @ {address}/files/iris-model/iris_')
        wheel = install.partition(" @ ")[2].partition("#")[0]
        with urllib.request.urlopen(wheel) as answer:  # noqa: S310 - of the test's own server
            assert answer.status == 200
        assert 'files("iris_model") / "data" / "model.joblib"' in load


def test_plots_are_pictures_and_nothing_of_a_model_is_run(registry: Path, browser: Browser) -> None:
    with (
        served(registry) as address,
        _visited(browser, f"{address}/models/iris-model/0.2.0/index.html") as page,
    ):
        assert [image.get_attribute("alt") for image in page.locator("img").all()] == [
            "Picture confusion.svg",
            "Picture roc.png",
        ]
        assert page.locator("main script, main iframe, main object").count() == 0
        assert "<script>alert(1)</script>" in page.locator(".readme").last.inner_text()
        links = [link.get_attribute("href") or "" for link in page.locator(".readme a").all()]
        assert links == ["https://example.org/"]
        policy = page.locator("meta[http-equiv]").get_attribute("content")
        assert policy == (
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
            "base-uri 'none'; form-action 'none'"
        )


def test_the_policy_stops_what_a_page_would_run(registry: Path, browser: Browser) -> None:
    page = registry / "hostile.html"
    front = (registry / "index.html").read_text("utf-8")
    page.write_text(front.replace("</main>", "<script>document.title = 'run'</script></main>"))

    context = browser.new_context()
    with served(registry) as address:
        opened = context.new_page()
        opened.goto(f"{address}/hostile.html")
        assert opened.title() == "Models"
    context.close()
    page.unlink()


def test_the_keyboard_reaches_the_content_and_what_scrolls(
    registry: Path, browser: Browser
) -> None:
    with (
        served(registry) as address,
        _visited(browser, f"{address}/models/iris-model/index.html") as page,
    ):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        reached = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.tagName"))
        assert {"A", "PRE", "DIV", "SUMMARY"} <= reached


def test_pages_work_from_the_disk(registry: Path, browser: Browser) -> None:
    with _visited(browser, (registry / "index.html").as_uri()) as page:
        page.get_by_label("Search").fill("iris-model")
        assert page.locator(".models > li:visible").count() == 1
        page.get_by_role("link", name="iris-model").click()
        assert page.locator("svg.chart").count() == 3
        background = page.evaluate(
            "getComputedStyle(document.querySelector('pre')).backgroundColor"
        )
        assert background == "rgb(241, 243, 245)"


def test_a_page_is_printed_whole(registry: Path, browser: Browser) -> None:
    with (
        served(registry) as address,
        _visited(browser, f"{address}/report-one.html", scheme="dark") as page,
    ):
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(255, 255, 255)"
        )
        assert page.get_by_role("cell", name="hatchling").is_visible()
        assert page.pdf().startswith(b"%PDF")
