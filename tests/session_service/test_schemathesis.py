"""Schemathesis against a running service: what /openapi.json says is what it does, whatever is sent.

Each kind of caller is one run of the program, seeded, with all its checks and with the links between operations that it
finds by itself. ``UNLATCH_FUZZ_EXAMPLES`` is how many requests each operation gets in each phase; 3 unless it is set.
With more, as in `make soak`, every operation also gets every edge of every field, which is most of the time.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.towns import Town

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="module")]

EXAMPLES = os.environ.get("UNLATCH_FUZZ_EXAMPLES", "3")
PHASES = ("--phases", "fuzzing,stateful") if EXAMPLES == "3" else ()
SEED = os.environ.get("UNLATCH_FUZZ_SEED", "1")
CONFIG = Path(__file__).with_name("schemathesis.toml")
ENDS_THE_TOKEN = "^/v1/(riders/me/tokens|ops/sign-ins/current.*|ops/operators/.*)$"
OPS = "^/v1/ops/"


@dataclass(frozen=True)
class Run:
    """Who calls what, and with which ids: those of things that exist, or any."""

    caller: str
    options: tuple[str, ...]
    with_ids: bool = False


RUNS = {
    "a guest": Run("guest", ("--exclude-path-regex", f"{OPS}|{ENDS_THE_TOKEN}", *PHASES)),
    "an admin": Run("admin", ("--include-path-regex", OPS, "--exclude-path-regex", ENDS_THE_TOKEN, *PHASES)),
    "a rider who rides": Run(
        "guest", ("--include-path-regex", r"\{", "--exclude-path-regex", OPS, "--phases", "fuzzing"), with_ids=True
    ),
    "an admin who works": Run("admin", ("--include-path-regex", OPS + r".*\{", "--phases", "fuzzing"), with_ids=True),
    "a rider with a new token": Run(
        "guest", ("--include-path-regex", "^/v1/riders/me/tokens$", "--phases", "coverage")
    ),
    "an admin who leaves": Run(
        "admin", ("--include-path-regex", ENDS_THE_TOKEN, "--exclude-path-regex", "^/v1/riders", "--phases", "coverage")
    ),
}


@pytest.mark.parametrize("name", RUNS)
async def test_the_service_does_what_its_document_says(town: Town, name: str, tmp_path: Path) -> None:
    run = RUNS[name]
    headers = town.world.operator if run.caller == "admin" else town.rider.headers
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG.read_text() + (_ids(town) if run.with_ids else ""))
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config), "run"]
    command += [f"{town.world.url}/openapi.json", "--header", f"Authorization: {headers['Authorization']}"]
    command += ["--max-examples", EXAMPLES, "--seed", SEED, "--checks", "all", *run.options]

    process = await asyncio.create_subprocess_exec(
        *command, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()

    assert process.returncode == 0, said.decode()


def _ids(town: Town) -> str:
    return "\n[parameters]\n" + "".join(f'"path.{name}" = "{value}"\n' for name, value in town.ids.items())
