"""The frame of the dashboard, built and not."""

from __future__ import annotations

import json
import re

import pytest

from session_service.web import app_files, dashboard_pages, static_files
from session_service.web.static_files import StaticFile


def frame(monkeypatch: pytest.MonkeyPatch, *built: str, policy: str = dashboard_pages.POLICY) -> tuple[int, str, str]:
    files = {name: StaticFile(f"/static/0123456789abcdef/{name}", "", b"", None) for name in built}
    ours = {name: file for name, file in static_files.files().items() if name not in static_files.DASHBOARD}
    for module in (dashboard_pages, static_files):
        monkeypatch.setattr(module, "files", lambda: {**ours, **files})
    answer = dashboard_pages._frame("Wheels & Co", "localhost", policy)
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


def test_only_the_page_with_the_camera_may_compile_webassembly(monkeypatch: pytest.MonkeyPatch) -> None:
    built = static_files.DASHBOARD
    *_, policy = frame(monkeypatch, *built, policy=dashboard_pages.SCAN_POLICY)
    assert "script-src 'self' 'wasm-unsafe-eval';" in policy
    assert "'unsafe-eval'" not in policy
    assert "wasm" not in frame(monkeypatch, *built)[2]


def test_the_worker_keeps_the_frame_and_its_files_and_nothing_of_the_riders_pages() -> None:
    text = app_files.worker("the rest", b"a frame", dashboard_pages.KEEPS)
    kept = json.loads(text.partition("const KEPT = ")[2].partition(";\n")[0])
    assert (kept["name"], kept["offline"]) == ("dashboard", "/ops")
    assert [path.rpartition("/")[2] for path in kept["files"]] == [
        "dashboard.js", "dashboard.css", "icon.svg", "reader.js",
    ]  # fmt: skip
    assert kept["pages"] == ["/ops/scan"]  # whose policy lets it compile the reader
    assert [path.rpartition("/")[2] for path in kept["later"]] == ["zxing-reader.js", "zxing-reader.wasm"]
    assert kept["name"] != app_files.PAGES.name
