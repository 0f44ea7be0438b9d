"""The runbook speaks of what there is: every alert, and no unit, file or command that does not exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from session_service.cli.program import MODULES
from tests.support.proxy import SHIPPED

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "deploy" / "README.md").read_text()
UNITS: Final = {path.name for path in (SHIPPED / "units").iterdir()}


def test_every_alert_has_its_line() -> None:
    alerts = set(re.findall(r"alert: (\w+)", (ROOT / "deploy" / "monitoring" / "rules.yml").read_text()))
    told = set(re.findall(r"`(Unlatch\w+)`", PAGE))
    assert told == alerts


def test_every_unit_that_is_named_is_shipped() -> None:
    named = set(re.findall(r"\bunlatch(?:-[a-z]+)*(?:@\d?)?\.(?:service|timer|target)\b", PAGE))
    named |= {f"{name}.service" for name in re.findall(r"systemctl \w+ (unlatch[a-z@0-9-]*)(?![.\w@*-])", PAGE)}
    assert {re.sub(r"@\d", "@", name) for name in named} <= UNITS
    assert len(named) > 5


def test_every_file_of_ours_that_is_named_is_there() -> None:
    named = set(re.findall(r"\b(?:deploy|docs)/[\w./-]*\w", PAGE)) - {"deploy/unlatch"}
    assert {name for name in named if not (ROOT / name).exists()} == set()


@pytest.mark.parametrize("words", sorted(set(re.findall(r"(?:^|`| )unlatch ([a-z]+)\b(?! of|\.)", PAGE))))
def test_every_command_that_is_named_is_one(words: str) -> None:
    assert words in MODULES
