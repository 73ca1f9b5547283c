"""A real browser without a screen: Chromium, driven through ChromeDriver.

Without it a test skips, or fails where engines are required, as a browser is then.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from attrs import frozen
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

__all__ = ["Browser", "Scheme", "browsing"]

Scheme = Literal["light", "dark"]

# It starts as root too, and asks nobody for anything.
_ARGUMENTS: Final = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--hide-scrollbars", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
_HEIGHT: Final = 900


@frozen
class Browser:
    """A browser with one page."""

    driver: Chrome

    def open(self, page: Path, *, width: int = 1440, scheme: Scheme = "light", media: str = "screen") -> None:
        """Open a file at a width, in pixels, as somebody sees it who wants the scheme."""
        size = {"width": width, "height": _HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        # Without it, what a script gives the focus to has it, and is told nothing.
        self.driver.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
        # Of processors, not of a clock: what else the machine does is not counted.
        self.driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        self.driver.get(page.as_uri())

    def worked(self) -> float:
        """How many seconds of a processor the page has taken since it was opened."""
        found = self.driver.execute_cdp_cmd("Performance.getMetrics", {})
        return float(next(each["value"] for each in found["metrics"] if each["name"] == "TaskDuration"))

    def ask(self, script: str, *arguments: object) -> Any:
        """What a script returns that is run in the page."""
        return self.driver.execute_script(script, *arguments)

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, wherever the focus is."""
        from selenium.webdriver import ActionChains  # noqa: PLC0415  # it is large

        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def screenshot(self, path: Path) -> None:
        """The whole page as a PNG."""
        height = int(self.ask("return document.documentElement.scrollHeight"))
        width = int(self.ask("return innerWidth"))
        size = {"width": width, "height": min(height, 8000), "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.save_screenshot(str(path))

    def complaints(self) -> list[str]:
        """What the browser says of the page since it was last asked: errors, and what its policy refused."""
        return [entry["message"] for entry in self._log("browser")]

    def requests(self) -> list[str]:
        """The addresses that were asked for since it was last asked."""
        entries = (json.loads(entry["message"])["message"] for entry in self._log("performance"))
        return [
            entry["params"]["request"]["url"]
            for entry in entries
            if entry["method"] == "Network.requestWillBeSent"
        ]

    def _log(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return found


@contextlib.contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """A browser that starts with nothing, and keeps what it has in `profile`."""
    programs = [shutil.which("chromium"), shutil.which("chromedriver")]
    if None in programs:
        words = "chromium and chromedriver are not there: apt-get install chromium chromium-driver"
        if os.environ.get("STOWPLAN_REQUIRE_ENGINES") == "1":
            pytest.fail(words)
        pytest.skip(words)
    options = ChromeOptions()
    options.binary_location = str(programs[0])
    for argument in (*_ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options, ChromeService(executable_path=str(programs[1])))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
