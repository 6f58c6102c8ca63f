"""A real browser, headless, and what it saw: requests and messages of the console."""

import json
import os
import shutil
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

NEEDED = "INSIGNIA_NEEDS_BROWSER"
WAIT_S = 25


def find_browser():
    """Paths of Chromium and its driver, or skip and say why."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if browser and driver:
        return browser, driver
    said = "no browser: the page is tested with Debian's packages chromium and chromium-driver (.ci/run installs them)"
    if os.environ.get(NEEDED):
        pytest.fail(f"{said}; {NEEDED} is set, so it must be there")
    pytest.skip(said)


@contextmanager
def started(folder):
    """Start Chromium with a fresh profile."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    binary, driver = find_browser()
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
        "--window-size=1280,1000", f"--user-data-dir={folder / 'profile'}",
    ):  # fmt: skip
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(folder / "downloads")})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(driver))
    made.downloads = folder / "downloads"
    try:
        yield made
    finally:
        made.quit()


@contextmanager
def served(app):
    """Serve an application on a free port, and give its address."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    give_up = time.monotonic() + WAIT_S
    while not server.started:
        assert time.monotonic() < give_up, "the server does not start"
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(WAIT_S)


class Page:
    """The explorer as a reader meets it."""

    def __init__(self, driver, base):
        self.driver, self.base = driver, base

    def open(self, query=""):
        self.driver.get(f"{self.base}/{query}")
        self.settle()
        return self

    def settle(self):
        """Wait until the page is drawn and asks nothing any more."""
        self.until(
            "return document.body?.dataset.ready === 'true' && document.body.getAttribute('aria-busy') !== 'true'"
        )

    def until(self, script):
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, WAIT_S, poll_frequency=0.05).until(
            lambda driver: driver.execute_script(script)
        )

    def all(self, selector):
        from selenium.webdriver.common.by import By

        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        found = self.all(selector)
        assert found, f"nothing on the page is {selector}"
        return found[0]

    def text(self, selector):
        return self.one(selector).text

    def click(self, selector):
        element = self.one(selector)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()
        self.settle()

    def type(self, *keys):
        """Press keys wherever the focus is."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()
        self.settle()

    def focus(self):
        return self.driver.switch_to.active_element

    def downloaded(self, ending):
        give_up = time.monotonic() + WAIT_S
        while time.monotonic() < give_up:
            found = [path for path in Path(self.driver.downloads).glob(f"*{ending}") if path.stat().st_size]
            if found:
                return found[0]
            time.sleep(0.05)
        raise AssertionError(f"no {ending} file was downloaded")

    def requests(self):
        """Addresses that were asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]

    def complaints(self):
        """Warnings and errors of the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")]
