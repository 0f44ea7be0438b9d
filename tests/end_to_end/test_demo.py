"""``unlatch-sim up``, which is ``make demo``: it proves itself, says where everything is, and leaves nothing behind."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from simulators.processes import program

pytestmark = pytest.mark.server

PATIENCE_S = 120.0
DEVICES = "6"
IN_THE_BACKGROUND = ("sh", "-c", 'trap "" INT; exec "$0" "$@"')  # so a shell starts what ends with &


@contextmanager
def demo(output: Path, *arguments: str) -> Iterator[psutil.Popen]:
    command = [*IN_THE_BACKGROUND, program("unlatch-sim"), "up", "--devices", DEVICES, *arguments]
    with output.open("wb") as out:
        process = psutil.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            with suppress(psutil.NoSuchProcess):
                process.kill()
            process.wait()


def wait_for(process: psutil.Popen, output: Path, words: str) -> str:
    deadline = time.perf_counter() + PATIENCE_S
    while words not in (text := output.read_text()):
        assert process.poll() is None, text
        assert time.perf_counter() < deadline, text
        time.sleep(0.05)
    return text


def gone(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def all_gone(processes: list[psutil.Process]) -> bool:
    deadline = time.perf_counter() + PATIENCE_S
    while not all(map(gone, processes)) and time.perf_counter() < deadline:
        time.sleep(0.05)
    return all(map(gone, processes))


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    assert match is not None, text
    return match[1]


def test_the_demo_proves_itself_stays_up_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    output = tmp_path / "output"
    with demo(output) as process:
        text = wait_for(process, output, "Ctrl-C ends everything")
        assert "Self-check passed" in text
        address, token = found(r"^Service +(http://\S+)", text), found(r"^Operator token +(\S+)", text)
        bearer = {"Authorization": f"Bearer {token}"}
        answer = httpx.get(f"{address}/v1/ops/devices", headers=bearer, trust_env=False)
        assert len(answer.json()["devices"]) == int(DEVICES)
        assert found(r"^(HTTPS://\S+)$", text).startswith(address.upper().replace("HTTP", "HTTPS", 1))
        folder = Path(found(r"^Files and logs +(\S+)", text))
        assert folder.is_dir()
        children = process.children(recursive=True)
        assert len(children) >= 4  # broker, service, payment provider, fleet
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        assert all_gone(children)
    assert "Everything that was started here has ended." in output.read_text()
    assert not folder.exists()


def test_a_demo_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    output = tmp_path / "output"
    with demo(output, "--dir", str(tmp_path / "house")) as process:
        wait_for(process, output, "Connecting the fleet")
        children = process.children(recursive=True)
        process.kill()
        assert all_gone(children)


def test_a_part_that_cannot_start_is_named_with_its_log(tmp_path: Path) -> None:
    output = tmp_path / "output"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with demo(output, "--port", str(taken.getsockname()[1])) as process:
            assert process.wait(PATIENCE_S) == 1
    assert re.search(r"The service ended at once\. Its log, .*service\.log, ends with:", output.read_text())
