"""Renders the front page of the newest sample report to docs/front-page.png (`make picture`)."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


def render(page_file: Path, target: Path) -> None:
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not browser:
        sys.exit("No Chromium was found. Install it, or name it in the environment variable CHROMIUM.")
    with tempfile.TemporaryDirectory() as profile, sync_playwright() as playwright:
        window = {"width": 900, "height": 1180}
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=browser, headless=True, args=ARGUMENTS, viewport=window
        )
        page = context.new_page()
        page.goto(page_file.as_uri())
        page.screenshot(path=str(target))
        context.close()


if __name__ == "__main__":
    fronts = sorted(ROOT.glob("reports/webshop/*/index.html"), key=lambda front: front.stat().st_mtime)
    if not fronts:
        sys.exit("There is no report of the samples yet. Run make report first.")
    render(fronts[-1], ROOT / "docs/front-page.png")
