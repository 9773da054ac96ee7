"""Chromium without a window, driven by Selenium (Debian: chromium, chromium-driver, python3-selenium)."""

import os
import shutil

from .daemon import BIN, SLOW
from .wait import wait_for

WAIT = 60 * SLOW
SHOTS = BIN.parent / "shots"


def missing():
    """Why there is no browser here, or None."""
    for program in ("chromium", "chromedriver"):
        if not shutil.which(program):
            return f"THE PAGE IS NOT TESTED: {program} is not installed (Debian: chromium, chromium-driver)"
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "THE PAGE IS NOT TESTED: python3-selenium is not installed"
    return None


class Browser:
    def __init__(self, directory):
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
        self.downloads = directory / "downloads"
        self.downloads.mkdir(parents=True)
        options = webdriver.ChromeOptions()
        for arg in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--window-size=1400,900",
                    f"--user-data-dir={directory}/profile", *(["--no-sandbox"] if os.getuid() == 0 else [])):
            options.add_argument(arg)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        options.add_experimental_option("prefs", {"download.default_directory": str(self.downloads), "download.prompt_for_download": False})
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        self.driver.set_page_load_timeout(WAIT)
        self.driver.set_script_timeout(WAIT)

    def open(self, url):
        self.driver.get("about:blank")
        self.driver.get(url)
        return self

    def log_in(self, token):
        wait_for(lambda: self.js("return document.getElementById('login').open"), WAIT, "the login box")
        self.js("document.getElementById('token').value = arguments[0]; document.querySelector('#login button').click()", token)

    def js(self, script, *args):
        return self.driver.execute_script(script, *args)

    def text(self, selector):
        return self.js("return [...document.querySelectorAll(arguments[0])].map(e => e.textContent).join('\\n')", selector)

    def count(self, selector):
        return self.js("return document.querySelectorAll(arguments[0]).length", selector)

    def click(self, selector, text=""):
        """Clicks the last such element with that text in it, where a user would."""
        from selenium.webdriver.common.by import By
        found = [e for e in self.driver.find_elements(By.CSS_SELECTOR, selector) if text in e.text]
        assert found, f"no {selector} with {text!r}"
        found[-1].click()

    def type(self, selector, text):
        """Replaces what is in an input."""
        self.js("const e = document.querySelector(arguments[0]); e.value = arguments[1]; e.dispatchEvent(new Event('input')); "
                "e.dispatchEvent(new Event('change'))", selector, text)

    def key(self, key):
        self.js("document.activeElement.blur(); dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0], bubbles: true}))", key)

    def wait(self, script, what, *args):
        return wait_for(lambda: self.js(script, *args), WAIT, lambda: f"{what}; the page says {self.text('#state')!r}")

    def wait_text(self, selector, text):
        wait_for(lambda: text in self.text(selector), WAIT, lambda: f"{text!r} in {selector}: {self.text(selector)[-400:]!r}")

    def lines(self):
        """All lines that are shown: what a download would save. (Of several a browser lets through the first.)"""
        return self.driver.execute_async_script("""
            const done = arguments[0], real = URL.createObjectURL;
            URL.createObjectURL = (blob) => { blob.text().then(done); return real.call(URL, blob); };
            document.getElementById('download').click();
            URL.createObjectURL = real;""").splitlines()

    def download(self):
        """The file that a click on the button saves."""
        self.click("#download")
        return wait_for(lambda: next((p for p in self.downloads.iterdir() if p.suffix == ".log"), None), WAIT, "the download")

    def shot(self, name):
        SHOTS.mkdir(exist_ok=True)
        self.driver.save_screenshot(str(SHOTS / f"{name}.png"))

    def dark(self, on):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark" if on else "light"}]})

    def phone(self):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True})

    def desk(self):
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def complaints(self):
        """What the browser itself complained about: errors of scripts, and what the policy forbade. A request that was refused is none."""
        return [e["message"] for e in self.driver.get_log("browser")
                if e["level"] == "SEVERE" and "Failed to load resource" not in e["message"]]

    def close(self):
        self.driver.quit()
