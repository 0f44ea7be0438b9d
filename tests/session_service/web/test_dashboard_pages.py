"""The frame of the dashboard, built and not."""

from __future__ import annotations

import re

import pytest

from session_service.web import dashboard_pages, static_files
from session_service.web.static_files import StaticFile


def frame(monkeypatch: pytest.MonkeyPatch, *built: str) -> tuple[int, str, str]:
    files = {name: StaticFile(f"/static/0123456789abcdef/{name}", "", b"", None) for name in built}
    ours = {name: file for name, file in static_files.files().items() if name not in static_files.DASHBOARD}
    for module in (dashboard_pages, static_files):
        monkeypatch.setattr(module, "files", lambda: {**ours, **files})
    answer = dashboard_pages._frame("Wheels & Co", "localhost")
    return answer.status_code, bytes(answer.body).decode(), answer.headers["content-security-policy"]


def test_the_frame_names_script_and_style_by_their_hashes_and_holds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    status, html, policy = frame(monkeypatch, "dashboard.js", "dashboard.css")
    assert status == 200
    assert re.findall(r'(?:src|href)="(/static/0123456789abcdef/[^"]+)"', html) == [
        "/static/0123456789abcdef/dashboard.css", "/static/0123456789abcdef/dashboard.js",
    ]  # fmt: skip
    assert "Wheels &amp; Co" in html
    assert "unsafe" not in policy
    assert not re.search(r"<script>|<style>| style=| on[a-z]+=", html)


@pytest.mark.parametrize("built", [(), ("dashboard.js",)])
def test_without_its_build_the_page_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, built: tuple[str, ...]) -> None:
    status, html, _ = frame(monkeypatch, *built)
    assert (status, "make setup" in html, "<script" in html) == (503, True, False)
