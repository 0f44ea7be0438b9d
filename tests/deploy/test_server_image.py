"""The compose file and the server's lock fit the program: no setting, package or volume that there is not."""

from __future__ import annotations

import re
from importlib.metadata import requires
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]  # its stubs are another package
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from session_service.settings import Settings
from tests.support.proxy import SHIPPED

ROOT: Final = Path(__file__).parents[2]
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((SHIPPED / "compose.yaml").read_text())
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]


def test_every_setting_is_one() -> None:
    text = (SHIPPED / "compose.yaml").read_text() + (SHIPPED / "compose.env.example").read_text()
    named = {name.lower() for name in re.findall(r"UNLATCH_([A-Z_]+)", text)}
    assert named <= set(Settings.model_fields)
    assert "database_url" in named


def test_each_part_has_what_it_names_and_none_may_gain_rights() -> None:
    for name, service in SERVICES.items():
        assert {volume.partition(":")[0] for volume in service.get("volumes", [])} <= set(COMPOSE["volumes"]), name
        assert set(service.get("depends_on", {})) <= set(SERVICES), name
        if service["image"] == "localhost/unlatch":
            assert (service["cap_drop"], service["read_only"]) == (["ALL"], True), name
    numbers = {SERVICES[f"service-{number}"]["environment"]["UNLATCH_INSTANCE"] for number in (1, 2)}
    assert numbers == {"1", "2"}
    for port in (port for service in SERVICES.values() for port in service.get("ports", [])):
        assert port == "8883:8883" or port.startswith("127.0.0.1:")  # all else is reached through the proxy


def entries(lock: Path) -> list[str]:
    """Return each package of a lock, with its hashes."""
    return re.findall(r"^\S.*(?:\n[ \t]+.*)*", lock.read_text(), re.MULTILINE)


def needed(extras: tuple[str, ...]) -> set[str]:
    """Return all packages that ours needs here with these extras, by what each says itself."""
    found: set[str] = set()
    waiting = [("unlatch", extras)]
    while waiting:
        name, wanted = waiting.pop()
        for one in map(Requirement, requires(name) or []):
            if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
                key = canonicalize_name(one.name)
                if key not in found:
                    found.add(key)
                    waiting.append((key, tuple(one.extras)))
    return found


def test_the_servers_lock_is_what_the_service_needs_of_the_projects() -> None:
    shipped, whole = entries(SHIPPED / "requirements.lock"), entries(ROOT / "requirements.lock")
    assert set(shipped) <= set(whole)
    names = {canonicalize_name(re.split(r"[=\[ ;]", entry, maxsplit=1)[0]) for entry in shipped}
    assert needed(("service", "trace")) <= names
    assert "pytest" not in names
