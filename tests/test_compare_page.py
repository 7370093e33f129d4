"""index.html in a real browser: opened from disk, without a network, clicked as a reader would, from test to test.

The browser is the Chromium or Chrome that LITCONV_BROWSER names or that is on the PATH (`apt-get install chromium`).
"""

import os
import shutil
from math import exp, log10

import pytest
from playwright.sync_api import sync_playwright

from deployed_runs import ARMS, make_deployed
from diagnosed_runs import make_diagnosed
from litconv.compare import Question, analyse, load
from litconv.compare.deployed.view import deployed_view
from litconv.compare.page import write_page
from litconv.compare.report import write_report
from made_runs import OPERATORS, make_run, make_sweep
from tuned_runs import BEST, RATES, make_tuned
from untrained_runs import untrained_run

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = os.environ.get("LITCONV_BROWSER") or next((path for name in NAMES if (path := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason=f"no browser: set LITCONV_BROWSER, or install one of {', '.join(NAMES)}"
)
QUIET = [
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-sandbox",
]
PATIENCE_MS = 180_000  # on a busy machine
WIDTH = 1280  # of a desk
HTML = "<img src=x onerror=alert(1)><b>bold</b>"


@pytest.fixture(scope="module")
def page_path(tmp_path_factory):
    """Nine arms, one of them with HTML in the name of its runs, in its error and in its configuration."""
    root = tmp_path_factory.mktemp("page")
    sweep = make_sweep(root, 3, summary={"test/f1/disc": 0.5, "test/f1/ring": 0.7, "test/recall/disc": 0.25})
    for folder in sweep.glob("*_standard_*"):
        (folder / "confusion.csv").write_text(",disc,ring\ndisc,3,1\nring,0,2\n")
    for folder in sweep.glob("*_grouped_*"):
        (folder / "confusion.csv").write_text(",disc,ring\ndisc,4,0\nring,2,0\n")
    for seed in range(3):
        make_run(root, "grouped", seed, 0.8, summary={"name": HTML}, config={"conv.note": HTML})
    make_run(root, "grouped", 7, config={"conv.groups": 8}, summary={"status": "failed", "error": HTML, "name": HTML})
    runs, out = load(sweep), root / "compare" / "made"
    write_report(analyse(runs, HTML), runs, out, ["python", "scripts/compare.py", f"sweep={HTML}"])
    return out / "index.html"


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=QUIET, timeout=PATIENCE_MS)
        yield opened
        opened.close()


def open_page(browser, page_path, width, listen=lambda page: None):
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    listen(page)
    page.goto(page_path.as_uri())
    page.wait_for_selector("#pareto-plot .annotation")
    return page


@pytest.fixture(scope="module")
def opened(browser, page_path):
    """The page, which takes a second of both cores to open; its faults; what it asks for."""
    faults, asked = [], []

    def listen(page):
        page.on("pageerror", lambda error: faults.append(error.message))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        page.on("request", lambda request: asked.append(request.url))

    page = open_page(browser, page_path, WIDTH, listen)
    yield page, faults, asked
    page.close()


@pytest.fixture
def page(opened, page_path):
    """Each test leaves the plot and the table as it found them. Nothing failed, and nothing but the page was asked for."""
    page, faults, asked = opened
    yield page
    assert faults == []
    assert [url for url in asked if not url.startswith("data:")] == [page_path.as_uri()]


def arms(page):
    return [row.get_attribute("data-arm") for row in page.query_selector_all(".arms tbody tr") if row.is_visible()]


def close(page):
    page.click("#arm button[aria-label='Close']")
    assert not page.is_visible("#arm")


def choose(page, cost, title):
    page.click(f"button[data-cost='{cost}']")
    page.wait_for_function(f"document.querySelector('#pareto-plot .xtitle').textContent === '{title}'")


def test_a_click_on_another_cost_changes_the_x_axis(page):
    assert page.text_content("#pareto-plot .xtitle") == "MACs"
    before = page.eval_on_selector("#pareto-plot", "plot => plot.data.at(-1).x.slice().sort((a, b) => a - b)")
    assert before[0] == min(macs for _, macs, *_ in OPERATORS.values())
    choose(page, "cost/params", "params")
    after = page.eval_on_selector("#pareto-plot", "plot => plot.data.at(-1).x.slice().sort((a, b) => a - b)")
    assert after[0] == min(params for params, *_ in OPERATORS.values())
    assert page.get_attribute("button[data-cost='cost/params']", "aria-checked") == "true"
    assert page.eval_on_selector("#pareto-plot", "plot => plot._fullLayout.xaxis.type") == "log"
    choose(page, "cost/macs", "MACs")


def test_a_click_on_a_heading_sorts_the_table_and_another_turns_it(page):
    by_macs = sorted(OPERATORS, key=lambda conv: OPERATORS[conv][1])
    page.click("th:has-text('MACs') button")
    found = [arm for arm in arms(page) if arm in OPERATORS]
    assert len(found) >= len(OPERATORS) - 1  # grouped is named with what its arms differ in
    assert [OPERATORS[arm][1] for arm in found] == [OPERATORS[arm][1] for arm in by_macs if arm in found]
    first = arms(page)[0]
    page.click("th:has-text('MACs') button")
    assert arms(page)[-1] == first
    assert page.get_attribute("th:has-text('MACs')", "aria-sort") == "descending"


def test_the_filter_leaves_what_was_asked_for(page):
    page.fill("#filter", "depthwise")
    assert set(arms(page)) == {"depthwise", "depthwise_separable"}
    assert page.inner_text("#shown").startswith("2 of ")
    page.fill("#filter", "")
    assert len(arms(page)) >= len(OPERATORS)


def drawn(page, plot):
    """The arms whose means are in the Pareto plot, or whose curves are drawn."""
    if plot == "#pareto-plot":
        return set(page.eval_on_selector(plot, "plot => plot.data.at(-1).customdata"))
    return set(page.eval_on_selector(plot, "plot => plot.data.filter((t) => !t.fill).map((t) => t.name)"))


def test_the_filter_acts_on_every_plot_and_list_too(page):
    page.fill("#filter", "depthwise")
    page.wait_for_function("document.querySelectorAll('#pareto-plot .annotation').length === 2")
    left = {"depthwise", "depthwise_separable"}
    assert drawn(page, "#pareto-plot") == drawn(page, "#curves-plot") == left
    for listed in ("#rankings li", "#classes tbody tr"):
        names = page.eval_on_selector_all(listed, "all => all.filter((e) => !e.hidden).map((e) => e.dataset.arm)")
        assert set(names) == left
    front = page.eval_on_selector("#pareto-plot", "plot => plot.data[0].x")
    assert front == sorted(OPERATORS[conv][1] for conv in left)  # the dearer of the two is the better
    page.fill("#filter", "no such arm")
    assert drawn(page, "#pareto-plot") == drawn(page, "#curves-plot") == set()
    page.fill("#filter", "")
    page.wait_for_function("document.querySelectorAll('#pareto-plot .annotation').length >= 9")
    assert len(drawn(page, "#curves-plot")) == len(arms(page))


def test_the_front_that_the_page_draws_is_that_of_the_comparison(page):
    for cost in ("cost/params", "cost/macs"):
        page.click(f"button[data-cost='{cost}']")
        expected = page.evaluate(f"data.arms.filter((a) => a.front.includes('{cost}')).map((a) => a.costs['{cost}'])")
        assert page.eval_on_selector("#pareto-plot", "plot => plot.data[0].x") == sorted(expected)
    choose(page, "cost/macs", "MACs")


def test_no_button_of_a_plot_sends_its_data_away(page):
    names = page.eval_on_selector_all(".modebar-btn", "all => all.map((button) => button.dataset.title)")
    assert set(names) == {"Download plot as a PNG", "Zoom", "Pan", "Zoom in", "Zoom out", "Reset axes"}


def test_figures_by_class_are_those_of_the_chosen_kind(page):
    page.click("button[data-kind='recall']")
    (shown,) = [box for box in page.query_selector_all("[data-figures]") if box.is_visible()]
    assert [th.inner_text() for th in shown.query_selector_all("thead th")][1:] == ["disc"]
    assert shown.query_selector("tbody td").inner_text() == "0.25"
    page.click("button[data-kind='f1']")
    (shown,) = [box for box in page.query_selector_all("[data-figures]") if box.is_visible()]
    assert [td.inner_text() for td in shown.query_selector_all("tbody tr:first-child td")] == ["0.50", "0.70"]


def test_the_confusion_matrix_is_in_shares_of_the_true_class_for_the_chosen_arm(page):
    shares = "document.getElementById('confusion-plot').data[0].z.map((row) => [...row])"
    page.select_option("#confusion-arm", "standard")
    assert page.evaluate(shares) == [[0.75, 0.25], [0, 1]]
    assert page.inner_text("#confusion-worst") == "Most often: disc taken for ring (25 %)."
    assert page.evaluate("document.getElementById('confusion-plot').data[0].customdata[0][1]").endswith("3 of 12")
    other = next(name for name in arms(page) if name.startswith("grouped"))
    page.select_option("#confusion-arm", other)
    assert page.evaluate(shares) == [[1, 0], [1, 0]]


def test_a_click_on_a_point_opens_its_runs_folders_and_configuration(page):
    page.locator("#pareto-plot").scroll_into_view_if_needed()
    plot = "document.getElementById('pareto-plot')"
    x, y = page.evaluate(
        f"(() => {{ const arm = data.arms.find((arm) => arm.name === 'separable'), {{ xaxis, yaxis }} = {plot}._fullLayout;"
        f" const box = {plot}.getBoundingClientRect();"
        " return [box.x + xaxis._offset + xaxis.d2p(arm.costs['cost/macs']), box.y + yaxis._offset + yaxis.d2p(arm.mean)]; })()"
    )
    page.mouse.move(x, y)
    page.wait_for_selector("#pareto-plot .hoverlayer .hovertext")
    assert "separable" in page.text_content("#pareto-plot .hoverlayer")
    page.mouse.click(x, y)
    assert page.inner_text("#arm-name") == "separable"
    links = page.query_selector_all("#arm-runs a")
    assert len(links) == 3
    assert all("separable" in link.inner_text() for link in links)
    assert "kernel_size: 3" in page.inner_text("#arm-config")
    close(page)


def test_html_in_names_errors_and_configurations_is_text(page):
    assert page.query_selector("img[src='x']") is None
    assert page.inner_text("h1") == HTML
    assert HTML in page.inner_text("#notes")
    assert f"sweep={HTML}" in page.inner_text("#commands")
    odd = next(arm for arm in arms(page) if HTML in arm)
    page.check("#single-runs")
    page.evaluate("openArm([...arms.keys()].find((name) => name.includes('<img')))")
    assert page.inner_text("#arm-name") == odd
    assert HTML in page.inner_text("#arm-config")
    assert page.query_selector("img[src='x']") is None
    close(page)
    page.uncheck("#single-runs")


def test_the_labels_of_the_plot_do_not_overlap(page):
    rectangle = "g => { const b = g.getBoundingClientRect(); return [b.x, b.y, b.right, b.bottom]; }"
    boxes = page.eval_on_selector_all("#pareto-plot .annotation-text-g", f"all => all.map({rectangle})")
    assert len(boxes) >= len(OPERATORS)
    for i, (left, top, right, bottom) in enumerate(boxes):
        assert not any(left < r - 1 and a < right - 1 and top < b - 1 and t < bottom - 1 for a, t, r, b in boxes[:i])


def test_the_curves_are_those_of_the_chosen_metric(page):
    page.click("button[data-curve='train/loss']")
    page.wait_for_function("document.querySelector('#curves-plot .ytitle').textContent === 'train/loss'")
    drawn = page.evaluate("document.getElementById('curves-plot').data.find((t) => t.name === 'standard' && !t.fill)")
    assert drawn["x"] == [1, 2, 3, 4, 5]
    assert drawn["y"] == pytest.approx(
        [2.3 * (1 - 0.9 * (1 - exp(-3 * epoch / 5))) for epoch in drawn["x"]]
    )  # made_runs


def fits(page, width):
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        ink, paper = page.evaluate("['color', 'backgroundColor'].map((key) => getComputedStyle(document.body)[key])")
        brightness = [sum(map(int, c.removeprefix("rgb(").removesuffix(")").split(","))) for c in (ink, paper)]
        assert (brightness[0] < brightness[1]) == (scheme == "light")
        assert abs(brightness[0] - brightness[1]) > 450


def test_it_fits_a_desk_by_day_and_by_night(page):
    fits(page, WIDTH)


def test_it_fits_a_telephone_by_day_and_by_night(browser, page_path):
    page = open_page(browser, page_path, 400)
    fits(page, 400)
    page.close()


@pytest.fixture(scope="module")
def samples_path(tmp_path_factory):
    root = tmp_path_factory.mktemp("samples")
    for conv in ("standard", "grouped"):
        untrained_run(root, f"conv={conv}", "task=segmentation")
    runs = load(root / "sweeps")
    write_report(analyse(runs, "made"), runs, root / "out", ["compare"], samples=2)
    return root / "out" / "index.html"


def test_a_click_on_a_mask_enlarges_it_beside_the_truth_and_another_shows_it_alone(browser, samples_path):
    page = browser.new_page(viewport={"width": WIDTH, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    page.goto(samples_path.as_uri())
    opacity = "getComputedStyle(document.querySelector('.samples .pair img')).opacity"
    assert 0 < float(page.evaluate(opacity)) < 1
    page.click("#samples button[data-layer='image']")
    assert page.evaluate(opacity) == "0"
    page.click(".samples tbody tr:nth-child(2) td:nth-child(3) .pair")
    assert page.is_visible("#sample")
    captions = [one.inner_text() for one in page.query_selector_all("#sample figcaption")]
    assert captions[0] == "truth"
    assert captions[1].startswith(("standard: mIoU 0.", "grouped: mIoU 0."))
    source = "e => e.src"
    enlarged = page.eval_on_selector_all("#sample img", "all => all.map((e) => e.src)")
    assert enlarged[1] == page.eval_on_selector(".samples tbody tr:nth-child(2) td:nth-child(3) img", source)
    assert page.eval_on_selector("#sample .pair", "e => e.getBoundingClientRect().width") > 250
    page.click("#sample button[data-layer='mask']")
    assert page.evaluate(opacity) == "1"
    assert page.get_attribute("#samples button[data-layer='mask']", "aria-checked") == "true"
    page.click("#sample button[aria-label='Close']")
    assert not page.is_visible("#sample")
    page.close()


def test_the_accuracy_over_the_tuned_rate_is_drawn_for_every_arm(browser, tmp_path):
    runs = load(make_tuned(tmp_path))
    write_report(analyse(runs, "tuned"), runs, tmp_path, ["python"], samples=0)
    page = open_page(browser, tmp_path / "index.html", WIDTH)
    drawn = page.eval_on_selector("#tuning-plot", "plot => plot.data.filter((t) => t.name).map((t) => [t.name, t.x])")
    assert dict(drawn) == {conv: list(RATES) for conv in BEST}
    assert page.eval_on_selector("#tuning-plot", "plot => plot._fullLayout.xaxis.type") == "log"
    circles = page.eval_on_selector(
        "#tuning-plot", "plot => plot.data.filter((t) => t.x.length === 1).map((t) => t.x[0])"
    )
    assert sorted(circles) == sorted(BEST.values())
    assert page.inner_text("#tuning .command code").endswith("optim.lr=0.05,0.1,0.2,0.4,0.8")
    page.close()


@pytest.fixture
def diagnosed_page(browser, tmp_path):
    """By a metric of which neither more nor less is better."""
    runs = load(make_diagnosed(tmp_path))
    result = analyse(runs, "made", Question(metric="diagnostics/correlation"))
    write_report(result, runs, tmp_path, ["python"], samples=0)
    faults = []
    page = open_page(
        browser, tmp_path / "index.html", WIDTH, lambda page: page.on("pageerror", lambda e: faults.append(e.message))
    )
    yield page
    assert faults == []
    page.close()


def test_what_networks_do_inside_is_a_table_and_the_pictures_of_one_seed_side_by_side(diagnosed_page):
    page = diagnosed_page
    arms = ["grouped", "standard", "deformable"]
    names = "all => all.filter((e) => e.checkVisibility()).map((e) => e.dataset.arm)"
    assert page.eval_on_selector_all("#diagnosed tbody tr", names) == arms
    page.click("#diagnosed th:has-text('effective field') button")
    assert page.eval_on_selector_all("#diagnosed tbody tr", names) == ["standard", "grouped", "deformable"]
    assert page.eval_on_selector_all("#diagnosed figure", names) == arms
    tops = page.eval_on_selector_all(
        "[data-pictures='receptive_field'] img", "all => all.map((e) => [e.getBoundingClientRect().y, e.naturalWidth])"
    )
    assert tops == [[tops[0][0], 30]] * 3
    page.click("[data-inside='sampling_points']")
    assert page.eval_on_selector_all("#diagnosed figure", names) == ["deformable"]
    page.click("[data-inside='first_kernels']")
    page.fill("#filter", "standard")
    assert page.eval_on_selector_all("#diagnosed figure", names) == ["standard"]
    assert page.eval_on_selector_all("#diagnosed tbody tr", names) == ["standard"]
    fits(page, WIDTH)


def test_where_neither_more_nor_less_is_better_no_front_is_drawn_and_no_arm_is_pale(diagnosed_page):
    line, points = diagnosed_page.eval_on_selector(
        "#pareto-plot", "plot => [plot.data[0].x, plot.data.at(-1).marker.opacity]"
    )
    assert line == []
    assert points == [1, 1, 1]
    assert "Pareto" not in diagnosed_page.inner_text("#pareto")
    words = diagnosed_page.eval_on_selector_all(".arms .word", "all => all.map((e) => e.textContent)")
    assert sorted(words) == ["higher", "lower", "reference"]
    assert diagnosed_page.inner_text("#rankings p.muted") == "highest first"


# Name of an arm → its height in a plot's trace.
POINTS = """([plot, trace]) => {
  const { customdata, y } = document.querySelector(plot).data.at(trace);
  return Object.fromEntries(customdata.map((name, i) => [name, y[i]]));
}"""


def test_where_the_arms_run_is_a_table_a_plot_of_each_place_and_an_axis_under_the_accuracy_there(browser, tmp_path):
    runs = load(make_deployed(tmp_path))
    runs.loc[runs["conv"] == "deformable", "deploy/onnxruntime/int8/latency_single_p90_ms"] = 100.0
    result = analyse(runs, "deployed")
    write_page(result, tmp_path, ["compare"], None, None, None, deployed_view(result))
    faults = []
    page = open_page(
        browser, tmp_path / "index.html", WIDTH, lambda page: page.on("pageerror", lambda e: faults.append(e.message))
    )
    panels = "[...document.querySelectorAll('[data-plot=single] .annotation-text')].map((one) => one.textContent)"
    shown = ["PyTorch", "ONNX Runtime float32", "ONNX Runtime int8", "OpenVINO float32", "OpenVINO int8"]
    page.wait_for_function(f"{panels}.length === {len(shown)}")
    assert page.evaluate(panels) == shown
    points = page.evaluate(POINTS, ["[data-plot=single]", 2])
    assert points == pytest.approx({name: 0.5 * times[2] for name, times in ARMS.items()})
    highest = page.evaluate("document.querySelector('[data-plot=single]').layout.yaxis.range[1]")
    assert highest > log10(100), "a bar lies in its panel"
    ranks = page.eval_on_selector_all(
        "[data-orders=single] .deployed-orders tbody tr",
        "(rows) => rows.map((row) => [row.dataset.arm, row.cells[4].dataset.value])",
    )
    by_time = sorted(ARMS, key=lambda name: ARMS[name][2])
    assert dict(ranks) == {name: str(by_time.index(name) + 1) for name in ARMS}
    page.click("[data-batch=batch]")
    assert page.is_visible("[data-orders=batch]")
    assert not page.is_visible("[data-orders=single]")

    page.select_option("#deployed-cost", "deploy/onnxruntime/int8/latency_single_ms")
    title = "document.querySelector('#pareto-plot .ytitle').textContent"
    page.wait_for_function(f"{title} === 'ONNX Runtime int8 top-1 accuracy'")
    heights = page.evaluate(POINTS, ["#pareto-plot", -1])
    assert heights == pytest.approx(
        {arm.name: arm.column("deploy/onnxruntime/int8/accuracy").mean() for arm in result.arms}
    )
    page.click("button[data-cost='cost/macs']")
    page.wait_for_function(f"{title} === 'test top-1 accuracy'")
    assert page.input_value("#deployed-cost") == ""
    fits(page, WIDTH)
    assert faults == []
    page.close()
