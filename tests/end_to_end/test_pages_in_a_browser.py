"""The pages in a real browser: charts are drawn, nothing is clipped or squeezed, nothing is fetched from anywhere."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from analysis import comparison, comparison_page
from analysis.__main__ import main
from benchmarks import noisy_runs
from tests.end_to_end.commands import LOCUST, Played, wait_for

pytestmark = pytest.mark.slow

WIDTHS = {"phone": 390, "desktop": 1280}
PAPER_PX = 695
"""Of A4, between margins."""
LINES_MAX = 8
"""A cell of a table with more lines is a column that was squeezed."""
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""A browser that looks up nothing by itself."""

CLIPPED = """() => [...document.querySelectorAll("body *")]
  .filter(element => element.getClientRects().length && !element.closest("svg"))
  .filter(element => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1
    || (getComputedStyle(element).overflowX !== "visible" && element.scrollWidth > element.clientWidth + 1))
  .map(element => `${element.tagName} ${element.textContent.trim().slice(0, 40)}`)"""
SQUEEZED = """most => [...document.querySelectorAll("td, th, dd")]
  .filter(cell => cell.getBoundingClientRect().height > most * parseFloat(getComputedStyle(cell).lineHeight)
    && cell.getBoundingClientRect().width < 120)
  .map(cell => cell.textContent.trim())"""
CHARTS = """() => [...document.querySelectorAll("figure")].map(figure => [...figure.querySelectorAll("svg")]
  .filter(chart => chart.getClientRects().length)
  .filter(chart => [...chart.querySelectorAll("path, use")].some(mark => mark.getBoundingClientRect().width))
  .length)"""
CUT_ACROSS_PAGES = """() => [...document.querySelectorAll("figure, tr, table:not(.long), table:not(:has(thead))")]
  .filter(part => getComputedStyle(part).breakInside !== "avoid" || (part.tagName === "TABLE" && !part.tHead))
  .map(part => `${part.tagName} ${part.textContent.trim().slice(0, 40)}`)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None and not os.environ.get("CI"):
        pytest.skip("no chromium here (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        yield launched
        launched.close()


@pytest.fixture(params=WIDTHS.values(), ids=WIDTHS)
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": request.param, "height": 900})
    yield opened
    opened.close()


def shown(page: Page, file: Path) -> list[str]:
    """Open a file; what was asked for on the way, itself left out."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    return [url for url in asked if url != file.as_uri() and not url.startswith("data:")]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def is_listening(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def assert_whole(page: Page) -> None:
    assert page.evaluate(CLIPPED) == []
    assert page.evaluate(SQUEEZED, LINES_MAX) == []
    charts = page.evaluate(CHARTS)
    assert charts
    assert all(count == 1 for count in charts)


@pytest.mark.parametrize("played", ["healthy", "live_groups", "outage"])
def test_a_report_is_whole_and_fetches_nothing(page: Page, played: str, request: pytest.FixtureRequest) -> None:
    assert shown(page, request.getfixturevalue(played).run / "report.html") == []
    assert_whole(page)


def test_runs_side_by_side_are_whole_and_fetch_nothing(
    page: Page, healthy: Played, live_groups: Played, outage: Played, tmp_path: Path
) -> None:
    file = tmp_path / "page.html"
    assert main(["compare", *(str(played.run) for played in (healthy, live_groups, outage)), "--html", str(file)]) == 0
    assert shown(page, file) == []
    assert_whole(page)
    assert page.locator("h1").inner_text().endswith("3 runs side by side")


def test_a_judged_comparison_is_whole_and_fetches_nothing(page: Page, tmp_path: Path) -> None:
    sides = next(noisy_runs.pairs(1, 6, 1.5, seed=7))
    file = tmp_path / "page.html"
    file.write_text(comparison_page.judged(comparison.compare(*sides)))
    assert shown(page, file) == []
    assert_whole(page)
    assert page.locator("h1").inner_text().endswith("Worse")


def test_a_report_is_good_on_paper(browser: Browser, outage: Played) -> None:
    page = browser.new_page(viewport={"width": PAPER_PX, "height": 900})
    page.emulate_media(media="print")
    shown(page, outage.run / "report.html")
    assert_whole(page)
    assert page.evaluate(CUT_ACROSS_PAGES) == []
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"
    page.close()


def test_the_web_ui_shows_what_the_run_has_come_to(browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    command = [LOCUST, "-f", "locustfiles/dau_spike.py", "--runs", str(tmp_path), "--autostart"]
    options = ["--peak-dau", "11000", "--baseline-dau", "50", "--web-host", "127.0.0.1", "--web-port", str(port)]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        wait_for(lambda: is_listening(port))
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_role("tab", name="Quotas and bill").click()
        page.get_by_role("cell", name="peak DAU of the month").wait_for()
        page.get_by_role("cell", name="11,000").first.wait_for(timeout=60_000)
        assert page.get_by_role("cell", name="299.98 USD").is_visible()
        page.get_by_role("tab", name="Access points").click()
        page.get_by_role("cell", name="Singapore").wait_for()
        page.close()
        process.send_signal(signal.SIGINT)
        process.wait(30)


def test_the_reports_first_screen_says_the_verdict(page: Page, healthy: Played) -> None:
    shown(page, healthy.run / "report.html")
    heading = page.locator("h1")
    assert heading.inner_text().endswith("Passed")
    assert (heading.bounding_box() or {"y": 900})["y"] < 300
    assert page.locator(".headline").is_visible()
