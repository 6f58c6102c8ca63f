"""The page in a real browser: what a biologist does, by mouse, by keyboard and by link."""

import pandas as pd
import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys
from tests.serve.browser import Page, served, started

from insignia.atlas import Atlas
from insignia.serve import create_app

pytestmark = pytest.mark.filterwarnings("ignore::insignia.core.errors.CoverageWarning")

MS1 = "?atlas=cohort&signature=MS1&filter=cell_type:classical+monocyte&min_cells=5"
REFUSED = "Failed to load resource: the server responded with a status of 4"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with started(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


@pytest.fixture(scope="module")
def base(atlas_path):
    with served(create_app({"cohort": atlas_path, "second one": atlas_path})) as address:
        yield address


@pytest.fixture
def page(browser, base, request):
    """The page; afterwards, nothing went to another host, and the console is clean."""
    made = Page(browser, base)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    made.requests(), made.complaints()
    yield made
    away = [url for url in made.requests() if not url.startswith((base, "data:", "blob:", "about:", "chrome:"))]
    assert away == []
    refusals = request.node.get_closest_marker("refusals") is not None
    complaints = [text for text in made.complaints() if not (refusals and REFUSED in text)]
    assert complaints == []


def lead(page):
    return page.text("#answer .lead")


def test_ms1_is_searched_by_typing_and_found_where_it_was_planted(page, atlas_path):
    page.open()
    assert "Where is a gene program active?" in page.text("#start h1")
    page.one("#query").send_keys("MS1", Keys.ENTER)
    page.settle()
    result = Atlas.open(atlas_path).search("MS1")
    table = result.call("percentile", q=90).by_sample()
    best = table.summary("disease").iloc[0]["disease"]
    assert lead(page).startswith(f"{best} has the highest mean fraction of hits for MS1")
    assert len(page.all("#samples path.point")) == len(table)
    assert "99 of 99 genes found by name" in page.text("#match summary")
    assert "signature=MS1" in page.driver.current_url
    assert page.driver.title.startswith("MS1")


def test_filters_narrow_the_search_and_can_be_taken_back(page, atlas_path):
    page.open("?atlas=cohort&signature=MS1&min_cells=5")
    whole = page.text("#answer .facts")
    page.click('[data-filter="cell_type:classical monocyte"]')
    n = len(Atlas.open(atlas_path).search("MS1", where="cell_type = 'classical monocyte'"))
    assert f"among {n:,} cells" in page.text("#answer .facts")
    assert [row.text for row in page.all("#heat tbody th")] == ["classical monocyte"]
    assert page.focus().get_attribute("data-filter") == "cell_type:classical monocyte"
    page.click(".chip")
    assert page.text("#answer .facts").split("s.")[0] == whole.split("s.")[0]
    page.driver.back()
    page.settle()
    assert f"among {n:,} cells" in page.text("#answer .facts")


def test_a_field_of_the_heat_map_narrows_the_search(page):
    page.open("?atlas=cohort&signature=MS1&min_cells=1")
    button = page.one("#heat td button")
    named = button.get_attribute("aria-label")
    page.click("#heat td button")
    chips = [chip.text for chip in page.all(".chip")]
    assert len(chips) == 2
    assert all(chip.split(" ", 1)[1].removeprefix("type ").removesuffix(" ×") in named for chip in chips)


def test_hovering_names_study_and_sample(page):
    page.open(MS1)
    point = page.one("#samples path.point")
    study, sample = point.get_attribute("aria-label").split(": ")[1].split(", ")[:2]
    page.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", point)
    ActionChains(page.driver).move_to_element(point).perform()
    page.until("return !document.getElementById('tip').hidden")
    assert page.text("#tip strong") == f"{study}, {sample}"
    assert "cells are hits" in page.text("#tip")
    ActionChains(page.driver).move_to_element(page.one("#samples h2")).perform()
    page.until("return document.getElementById('tip').hidden")


def test_a_point_opens_its_cells(page, atlas_path):
    page.open(MS1)
    point = page.one("#samples path.point")
    study, sample = point.get_attribute("aria-label").split(": ")[1].split(", ")[:2]
    page.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", point)
    ActionChains(page.driver).move_to_element(point).click().perform()
    page.until("return document.getElementById('drill').open")
    page.settle()
    assert page.text("#drill-title") == f"{study}, {sample}"
    result = Atlas.open(atlas_path).search("MS1", where="cell_type = 'classical monocyte'")
    cells = result.metadata().assign(score=result.scores)
    here = cells[(cells["study"] == study) & (cells["sample"] == sample)]
    assert page.text("#drill tbody th") == here.sort_values("score", ascending=False)["barcode"].iloc[0]
    link = page.driver.current_url
    page.type(Keys.ESCAPE)
    page.until("return !document.getElementById('drill').open")
    assert "s.study" not in page.driver.current_url
    page.open(link.removeprefix(page.base).lstrip("/"))
    page.until("return document.getElementById('drill').open")


def test_tables_and_figures_are_downloaded(page, atlas_path):
    page.open(MS1)
    result = Atlas.open(atlas_path).search("MS1", where="cell_type = 'classical monocyte'")
    expected = result.call("percentile", q=90).by_sample(min_cells=5).table
    page.click("#table-links a:nth-child(1)")
    pd.testing.assert_frame_equal(pd.read_csv(page.downloaded(".csv")), expected.reset_index(drop=True))
    page.click("#table-links a:nth-child(2)")
    assert len(pd.read_parquet(page.downloaded(".parquet"))) == len(expected)
    page.click("#figure-links a:nth-child(1)")
    assert "</svg>" in page.downloaded(".svg").read_text()


def test_a_link_reopens_exactly_this_view(page):
    page.open("?atlas=second+one&genes=S100A8+S100A12:2+-CD3D&name=mine&min_cells=5&by=tissue&sort=cells&page=2&cut=80")
    page.click("#compare button, #compare select")

    def seen():
        parts = ("#answer", "#match", "#table tbody", "#samples svg", "#atlas", "#settings", "#compare")
        return page.driver.current_url, [page.one(part).get_attribute("textContent") for part in parts]

    address, before = seen()
    page.driver.switch_to.new_window("tab")
    page.open(address.removeprefix(page.base).lstrip("/"))
    again, after = seen()
    page.driver.close()
    page.driver.switch_to.window(page.driver.window_handles[0])
    assert again == address
    assert after == before
    assert "mine" in before[1]


@pytest.mark.refusals
def test_unknown_genes_are_said_and_the_page_goes_on(page):
    page.open()
    page.one("#query").send_keys("NOTAGENE, NEITHERTHIS", Keys.ENTER)
    page.settle()
    assert "None of the 2 genes" in page.text("[role=alert]")
    assert not page.one("#found").is_displayed()
    box = page.one("#query")
    box.clear()
    box.send_keys("MS2", Keys.ENTER)
    page.settle()
    assert "Did you mean 'MS1'?" in page.text("[role=alert]")
    box.clear()
    box.send_keys("S100A8, S100A12, NOTAGENE, 1-Mar", Keys.ENTER)
    page.settle()
    assert page.all("[role=alert] .alert") == []
    assert [pill.text for pill in page.all(".pill.missing")] == ["NOTAGENE missing", "1-Mar missing"]
    assert "spreadsheet" in page.text("#match .note")
    assert lead(page)


def test_an_empty_result_says_so(page):
    page.open(f"{MS1}&rule=value&cut=1000000")
    assert lead(page).startswith("None of the")
    page.open(MS1.replace("min_cells=5", "min_cells=90000"))
    assert "No sample has enough scored cells" in lead(page)
    assert "Lower “Least cells of a sample”" in page.text("#samples")


def test_the_keyboard_alone_is_enough(page):
    page.open()
    page.type(Keys.TAB)
    assert page.focus().text == "Skip to results"
    page.type(Keys.TAB, Keys.TAB)
    assert page.focus().get_attribute("id") == "query"
    page.type("ms")
    page.until("return document.querySelectorAll('#suggestions li').length > 0")
    page.type(Keys.ARROW_DOWN, Keys.ENTER)
    page.until("return !document.getElementById('found').hidden")
    page.settle()
    assert "MS1" in lead(page)
    assert "hits among" in page.one("#status").get_attribute("textContent")
    for _ in range(80):
        page.type(Keys.TAB)
        if "point" in (page.focus().get_attribute("class") or ""):
            break
    first = page.focus().get_attribute("aria-label")
    page.type(Keys.ARROW_RIGHT)
    second = page.focus().get_attribute("aria-label")
    assert second != first
    page.type(Keys.ENTER)
    page.until("return document.getElementById('drill').open")
    page.settle()
    assert page.text("#drill-title") in second
    page.type(Keys.ESCAPE)
    page.until("return !document.getElementById('drill').open")
    assert page.focus().get_attribute("aria-label") == second


def test_gene_names_are_completed_within_a_list(page):
    page.open()
    page.one("#query").send_keys("RETN, s100a1")
    page.until(
        "return [...document.querySelectorAll('#suggestions li')].some((li) => li.textContent.startsWith('S100A12'))"
    )
    page.type(Keys.ARROW_DOWN, Keys.TAB)
    assert page.one("#query").get_attribute("value") == "RETN, S100A12 "


def test_an_uploaded_file_is_searched(page, tmp_path):
    (tmp_path / "sets.gmt").write_text("ONE\t\tS100A8\tS100A12\nTWO\t\tCD3D\tCD3E\n")
    page.open()
    page.one("#file").send_keys(str(tmp_path / "sets.gmt"))
    page.until("return document.querySelectorAll('#sets option').length === 2")
    page.one("#sets option:nth-child(2)").click()
    page.click("#sets button")
    assert "hits for TWO" in lead(page)
    assert "name=TWO" in page.driver.current_url


def test_the_table_is_sorted_and_paged(page):
    page.open("?atlas=cohort&signature=MS1&min_cells=1")
    page.click("#sort-cells")
    cells = [int(cell.text.replace(",", "")) for cell in page.all("#table tbody td:nth-child(6)")]
    assert cells == sorted(cells, reverse=True)
    assert page.one("#table th[aria-sort]").get_attribute("aria-sort") == "descending"
    page.click("#page-next")
    assert page.text("#table .pager").startswith("Previous")
    assert "page 2 of" in page.text("#table .pager")
    assert page.focus().get_attribute("id") == "page-next"


def test_groups_are_compared_and_a_second_signature_stands_beside(page):
    page.open(f"{MS1}&compare=1&test=meta&other=IFN_I")
    page.until("return document.querySelectorAll('#compare tbody tr').length > 0 && document.querySelector('#two svg')")
    assert "testable comparison" in page.text("#compare")
    assert "rank correlation" in page.text("#two")
    assert len(page.all("#two path.point")) > 10


def test_one_group_is_compared_with_nothing(page):
    page.open(f"{MS1}&filter=disease:septic+shock&compare=1")
    assert "Only one disease is chosen" in page.text("#compare")
    page.open(f"{MS1}&filter=disease:septic+shock&filter=disease:asthma&compare=1")
    assert page.one("#compare-against").get_attribute("value") in ("septic shock", "asthma")


def test_the_reverse_is_asked_of_the_chosen_cells_and_searched_on(page):
    page.open(f"{MS1}&filter=disease:septic+shock&filter=disease:Kawasaki+disease")
    page.click("#reverse button")
    page.until("return document.querySelectorAll('#reverse tbody tr').length > 0")
    assert page.text("#reverse tbody tr button") == "MS1"
    assert "reverse=normal" in page.driver.current_url
    page.click("#reverse td + td ~ button, #reverse .pair > div:nth-child(2) button")
    assert "hits for genes that stand out" in lead(page)


def test_what_each_gene_adds_is_shown_by_group(page):
    page.open(f"{MS1}&group=COVID-19")
    assert page.one("#genes select").get_attribute("value") == "COVID-19"
    assert len(page.all("#genes tbody tr")) == 15
    page.click("#genes button")
    assert len(page.all("#genes tbody tr")) == 99


def test_a_phone_needs_no_sideways_scrolling_and_darkness_is_kept(page):
    page.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    )
    page.open(f"{MS1}&compare=1&other=IFN_I")
    assert page.driver.execute_script("return document.documentElement.scrollWidth - innerWidth") <= 0
    light = page.one("body").value_of_css_property("background-color")
    page.click("#theme")
    assert page.one("body").value_of_css_property("background-color") != light
    page.open(MS1)
    assert page.one("html").get_attribute("data-theme") == "dark"
    page.click("#theme")
