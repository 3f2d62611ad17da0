"""The view of what goes on, and what it says where it may not look."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml
from playwright.sync_api import Browser, Route, expect

from gateway.errors import BackendUnavailable
from serving.launch.ports import free_port
from tests.gateway.api.test_guard import ADMIN, USER, write_keys
from tests.gateway.web.conftest import Look
from tests.gateway.web.serving import Served, Viewer, press, write_repository

pytestmark = pytest.mark.chromium

#: Shadows keep to a hundredth of the time, so that they rest long after being held up.
RESTING_MS = 120_000
PAYLOAD = {"count": 2, "size": 0.5, "big": True, "name": "b"}
POLICY = {
    "models": {
        "mixed": {
            "fallback": ["memory"],
            "canary": {"weights": {"onnx/pytorch": 75, "memory": 25}},
            "shadow": {"candidate": "onnx/tensorflow", "share": 1.0},
        }
    }
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway with keys."""
    folder = tmp_path_factory.mktemp("guarded")
    keys = write_keys(folder / "keys.yaml")
    with Served(write_repository(folder / "models"), api_keys_file=str(keys)) as gateway:
        yield gateway


def ask(url: str, times: int) -> None:
    with requests.Session() as session:
        for _ in range(times):
            answer = session.post(f"{url}/v1/predict?model=mixed&backend=onnx", json=PAYLOAD)
            assert answer.status_code == 200


def test_charts_backends_routing_and_shadow(browser: Browser, tmp_path: Path) -> None:
    repository = write_repository(tmp_path)
    (repository / "routing.yaml").write_text(yaml.safe_dump(POLICY))
    with Served(repository) as served:
        viewer = Viewer(browser, served.url)
        page = viewer.page
        page.goto("/#live")
        backends = page.locator(".backends > li")
        expect(backends).to_have_count(2)
        expect(backends.nth(0)).to_contain_text("ONNX Runtimeready")
        expect(backends.nth(0)).to_contain_text("mixed 1, TensorFlow")
        expect(page.locator(".legend")).to_contain_text("onnx/pytorch 75 %")
        expect(page.locator(".legend")).to_contain_text("memory 25 %")
        expect(page.locator(".shadow")).to_contain_text("Nothing compared yet.")
        ask(served.url, 50)
        chart = page.locator(".chart")
        expect(chart.nth(0).get_by_role("img")).to_have_attribute(
            "aria-label", re.compile(r"Requests: [^;]*, [\d.,]*[1-9][\d.,]*/s at most")
        )
        expect(chart.nth(2).get_by_role("img")).to_have_attribute(
            "aria-label", re.compile("Rows per call: 1 last")
        )
        expect(chart.nth(1).get_by_role("img")).to_have_attribute(
            "aria-label", re.compile(r"Median: [\d.]+ m?s last.*99 % within: [\d.]+ m?s last")
        )
        assert page.locator("path.line").first.get_attribute("d")
        agreed = page.locator(".shadow .figure")
        expect(agreed).to_contain_text("100 % of rows agree", timeout=RESTING_MS)
        expect(page.locator(".shadow")).to_contain_text("Rows compared50", timeout=RESTING_MS)
        assert viewer.heard == []
        viewer.close()


def test_of_several_workers_the_sums_are_shown(browser: Browser, tmp_path: Path) -> None:
    repository = write_repository(tmp_path)
    (repository / "routing.yaml").write_text(yaml.safe_dump(POLICY))

    def of_two(route: Route) -> None:
        text = route.fetch().text()
        one = 'gateway_shadow_rows_total{candidate="onnx/tensorflow",model="mixed",outcome='
        both = f'{one}"agreeing"}} 30.0\n{one}"differing"}} 10.0\n'
        assert "gateway_workers 1.0" in text
        text = text.replace("gateway_workers 1.0", "gateway_workers 2.0")
        route.fulfill(body=re.sub("(?m)^gateway_shadow_rows_total.*\n", "", text) + both)

    with Served(repository) as served:
        viewer = Viewer(browser, served.url)
        page = viewer.page
        page.route("**/metrics", of_two)
        page.goto("/#live")
        expect(page.locator(".shadow .figure")).to_contain_text("75 % of rows agree")
        expect(page.locator(".shadow")).to_contain_text("Rows compared40")
        expect(page.locator(".shadow")).to_contain_text("Of all 2 workers")
        expect(page.locator("#live")).to_contain_text("as seen by one of 2 workers")
        page.unroute_all(behavior="wait")
        viewer.close()


def test_failures_and_why_it_is_not_ready(browser: Browser, tmp_path: Path) -> None:
    with Served(write_repository(tmp_path), required_backends="memory") as served:
        viewer = Viewer(browser, served.url)
        page = viewer.page
        page.goto("/#live")
        failed = page.locator(".chart").first.locator(".now div").nth(2)
        expect(failed).to_contain_text("Failed0/s")
        expect(page.locator("#ready")).to_have_text("ready")
        expect(page.get_by_text("Not ready")).to_have_count(0)
        served.memory.fail = BackendUnavailable("memory", "it is down")
        answers = requests.post(f"{served.url}/v1/predict?model=mixed&backend=memory", json=PAYLOAD)
        assert answers.status_code == 503
        drawn = page.locator(".chart").first.get_by_role("img")
        expect(drawn).to_have_attribute(
            "aria-label", re.compile(r"Failed: .*, [\d.]*[1-9]/s at most")
        )
        page.reload()
        note = page.locator("#live .note").first
        expect(note).to_contain_text("Not ready")
        expect(note).to_contain_text("it is down")
        expect(page.locator("#ready")).to_have_attribute("title", re.compile("it is down"))
        viewer.close()


def test_a_stand_in_and_an_error_are_told_once(look: Look) -> None:
    page = look("/").page
    target = {"model": "m", "version": "1", "lineage": "tensorflow", "active": True}
    target |= {"ready": False, "breaker": "open", "queued_rows": 0, "detail": "it is away"}
    backend = {"name": "tfserving", "url": "http://x", "state": "down", "required": False}
    backend |= {"stand_in": "tensorflow-serving", "last_error": "it is away", "models": [target]}
    page.evaluate(
        """async (backends) => {
          const { backendsView } = await import("/web/js/status.js");
          backendsView(document.querySelector("main"), backends, 1);
        }""",
        [backend, backend | {"last_error": "it was slow"}],
    )
    told = page.locator(".backends > li")
    expect(told.first).to_contain_text("A stand-in, not the real TensorFlow Serving")
    expect(told.first.get_by_text("it is away")).to_have_count(1)
    expect(told.first).not_to_contain_text("Last error")
    expect(told.last).to_contain_text("Last error: it was slow")


def test_percentiles_are_prometheus(look: Look) -> None:
    """As histogram_quantile: linear within a bucket, and the last bound for what lies beyond."""
    page = look("/").page
    found = page.evaluate("""async () => {
      const { quantile } = await import("/web/js/metrics.js");
      const counts = [[0.1, 0], [0.2, 10], [0.4, 90], [Infinity, 100]];
      return [0.5, 0.05, 0.99].map((share) => quantile(counts, share))
        .concat(quantile([[1, 0]], 0.5));
    }""")
    assert found == [pytest.approx(300), pytest.approx(150), pytest.approx(400), None]


def test_a_user_may_predict_and_an_admin_may_watch(look: Look, guarded: Served) -> None:
    viewer = look("/", url=guarded.url)
    page = viewer.page
    expect(page.locator("main")).to_contain_text("This gateway answers only with one.")
    page.get_by_role("button", name="Enter an API key").click()
    page.get_by_label("Key", exact=True).fill("wrong")
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator("main")).to_contain_text("The one you gave is not known here.")

    enter(viewer, USER)
    page.get_by_label("Model", exact=True).select_option("mixed")
    expect(page.get_by_label("count pieces", exact=True)).to_have_value("2")
    press(page, "Predict")
    expect(page.locator(".figure").first).to_have_text("2.5 pieces")
    code = page.get_by_role("region", name="The request as code")
    expect(code).to_contain_text("Bearer $GATEWAY_API_KEY")
    assert USER not in page.content()
    assert page.evaluate("localStorage.length") == 0
    assert page.context.cookies() == []

    page.get_by_role("link", name="Live").click()
    expect(page.locator("#live .note")).to_contain_text("this needs an admin’s")
    enter(viewer, ADMIN)
    expect(page.locator(".backends > li")).to_have_count(2)
    assert set(viewer.heard) == {"401", "403"}


def enter(viewer: Viewer, key: str) -> None:
    viewer.page.locator("#key-button").click()
    viewer.page.get_by_label("Key", exact=True).fill(key)
    viewer.page.get_by_role("button", name="Use this key").click()


def test_a_management_port_is_told(browser: Browser, tmp_path: Path) -> None:
    with Served(write_repository(tmp_path), management_port=free_port()) as served:
        viewer = Viewer(browser, served.url)
        page = viewer.page
        page.goto("/#live")
        expect(page.locator("#live .note")).to_contain_text("management_port")
        expect(page.locator(".charts")).to_be_hidden()
        page.get_by_role("link", name="Try").click()
        expect(page.locator("form.payload")).to_be_visible()
        assert set(viewer.heard) == {"404"}
        viewer.close()


def test_a_gateway_that_goes_away_is_told(browser: Browser, tmp_path: Path) -> None:
    with Served(write_repository(tmp_path)) as served:
        viewer = Viewer(browser, served.url)
        page = viewer.page
        page.goto("/#live")
        expect(page.locator(".backends > li")).to_have_count(2)
        expect(page.locator("form.payload")).to_be_attached()
    expect(page.locator("#live .note")).to_contain_text("cannot be reached")
    page.get_by_role("link", name="Try").click()
    press(page, "Predict")
    expect(page.locator(".result")).to_contain_text("The gateway cannot be reached")
    viewer.close()
