"""What is copied from npm's packages, and that the lock says nothing about where they come from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from session_service.web import vendor_files
from session_service.web.vendor_files import HERE, LICENCES, SERVED


def lay_out(node_modules: Path) -> None:
    for source in {**SERVED, **LICENCES}.values():
        path = node_modules / source
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)


def test_the_table_is_copied_and_nothing_else_stays(tmp_path: Path) -> None:
    lay_out(tmp_path / "node_modules")
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "of-the-last-release.js").touch()

    vendor_files.copy(tmp_path / "node_modules", tmp_path / "vendor")

    assert {path.name: path.read_text() for path in (tmp_path / "vendor").iterdir()} == {**SERVED, **LICENCES}


def test_a_package_that_has_changed_its_files_is_noticed(tmp_path: Path) -> None:
    lay_out(tmp_path / "node_modules")
    (tmp_path / "node_modules" / SERVED["leaflet.js"]).unlink()

    with pytest.raises(FileNotFoundError, match=r"leaflet\.js"):
        vendor_files.copy(tmp_path / "node_modules", tmp_path / "vendor")


def test_every_package_that_is_served_brings_its_licence() -> None:
    packages = {source.split("/")[0] for source in SERVED.values()}

    assert {source.split("/")[0] for source in LICENCES.values()} == packages


def test_the_lock_pins_every_package_by_its_hash_and_names_no_registry() -> None:
    text = (HERE / "package-lock.json").read_text()
    lock = json.loads(text)
    packages = {name: package for name, package in lock["packages"].items() if name}

    assert "resolved" not in text
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    for name, version in {**lock["packages"][""]["dependencies"], **lock["packages"][""]["devDependencies"]}.items():
        assert version == packages[f"node_modules/{name}"]["version"]  # exact, no range
