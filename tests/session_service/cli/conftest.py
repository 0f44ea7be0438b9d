"""An installation in a folder of its own, and a way to run `unlatch` in it without a process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from session_service.cli import main
from tests.session_service.cli.running import Said, Unlatch


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that holds the installation, and be in it; no settings of another one apply."""
    for name in [name for name in os.environ if name.startswith("UNLATCH_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def unlatch(home: Path, capfd: pytest.CaptureFixture[str]) -> Unlatch:
    """Return a function that runs a command; an empty database and no secrets are there."""
    assert home.is_dir()

    def run(*arguments: str) -> Said:
        capfd.readouterr()
        try:
            status = main(arguments)
        except SystemExit as usage:  # argparse
            status = int(str(usage.code))
        return Said(status, *capfd.readouterr())

    return run


@pytest.fixture
def installed(unlatch: Unlatch, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Unlatch:
    """Return the same with secrets and a migrated database."""
    return _installed(unlatch, sqlite_url, monkeypatch)


@pytest.fixture
def installed_on_postgres(
    unlatch: Unlatch,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Unlatch:
    """Return the same with a database on PostgreSQL."""
    return _installed(unlatch, postgres_url, monkeypatch)


def _installed(unlatch: Unlatch, url: str, monkeypatch: pytest.MonkeyPatch) -> Unlatch:
    monkeypatch.setenv("UNLATCH_DATABASE_URL", url)
    assert unlatch("secrets").status == 0
    return unlatch
