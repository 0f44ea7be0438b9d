"""Technicians and operators at the dashboard of a browser's house: a person of each role, signed in at a desk."""

from __future__ import annotations

from typing import Any

from playwright.async_api import expect

from tests.support.browser import DESK, GetPhone, Phone
from tests.support.quick_house import PASSWORD


async def signed_in(phone: GetPhone, name: str, path: str = "/ops", **options: Any) -> Phone:
    """Return a desk, or a phone by ``size``, at which somebody has signed in on the page at ``path``."""
    desk = await phone(**{"size": DESK, "place": None, "camera": False, **options})
    await desk.open(path)
    page = desk.page
    await expect(page.get_by_role("heading", name="Unlatch dashboard")).to_be_visible()
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    desk.faults.clear()  # that nobody was signed in at first is an error to the browser's console
    return desk
