"""The signal of a modem, from a stand-in for ModemManager's program."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_agent.senses import modem
from device_agent.senses.modem import modem_signal
from device_agent.senses.sampling import SenseError
from device_agent.senses.settings import Modem


def program(folder: Path, script: str) -> str:
    file = folder / "mmcli"
    file.write_text(f'#!/bin/sh\n[ "$*" = "-m any --signal-get -J" ] || exit 9\n{script}\n')
    file.chmod(0o755)
    return str(file)


def said(networks: str) -> str:
    return f'echo \'{{"modem":{{"signal":{{{networks},"refresh":{{"rate":"60"}}}}}}}}\''


NONE = '"gsm":{"rssi":"--"},"lte":{"rssi":"--","rsrp":"--"}'


@pytest.mark.parametrize(
    ("networks", "expected"),
    [
        ('"lte":{"rssi":"-73.00","rsrp":"-101.00","snr":"9.60"},"gsm":{"rssi":"--"}', -73),
        ('"5g":{"rsrp":"-95.4","snr":"3"},"lte":{"rssi":"--"}', -95),
        ('"umts":{"rscp":"-88"},"lte":{"rssi":"33"}', -88),  # a figure above zero is none
    ],
)
def test_the_newest_network_counts(tmp_path: Path, networks: str, expected: int) -> None:
    assert modem_signal(Modem(), program(tmp_path, said(networks)))() == expected


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        (said(NONE), "--signal-setup=60"),
        ("echo 'error: couldn'\\''t find modem' >&2; exit 1", "ModemManager: error: couldn't find modem"),
        ("exit 1", "no modem"),
        ("echo hello", "not said before"),
        ("exec sleep 20", "does not answer"),
    ],
)
def test_why_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, cause: str) -> None:
    if "sleep" in script:
        monkeypatch.setattr(modem, "ANSWER_S", 0.2)
    with pytest.raises(SenseError, match=cause):
        modem_signal(Modem(), program(tmp_path, script))()


def test_without_modemmanager_its_program_is_missed(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        modem_signal(Modem(), str(tmp_path / "mmcli"))()
