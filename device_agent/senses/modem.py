"""The signal of a mobile modem, as ModemManager's own program tells it: `mmcli --signal-get -J`.

The other way is D-Bus, for which Python needs a library that is larger than all senses together.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Final

import msgspec

from device_agent.senses.kernel import DBM
from device_agent.senses.sampling import SenseError
from device_agent.senses.settings import Modem

ANSWER_S: Final = 3.0  # ModemManager knows the answer; for so long the other senses wait at most
NETWORKS: Final = ("5g", "lte", "umts", "gsm")  # the newest first: a modem in two tells both
FIGURES: Final = ("rssi", "rsrp", "rscp")  # the whole band's power; 5G tells that of its reference signal alone


class _Said(msgspec.Struct, frozen=True):
    """What is used of the answer: texts of numbers by network and figure, ``--`` where there is none."""

    signal: dict[str, dict[str, object]] = {}


class _Answer(msgspec.Struct, frozen=True):
    modem: _Said


def modem_signal(chosen: Modem, program: str = "mmcli") -> Callable[[], int]:
    """Return what reads a modem's signal in dBm. It raises ``SenseError`` or ``OSError``."""
    return lambda: _level(_ask([program, "-m", chosen.modem, "--signal-get", "-J"]))


def _ask(command: list[str]) -> _Said:
    try:
        done = subprocess.run(command, capture_output=True, timeout=ANSWER_S, check=False)  # noqa: S603 - no shell
    except subprocess.TimeoutExpired as error:
        msg = "ModemManager does not answer"
        raise SenseError(msg) from error
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        msg = f"ModemManager: {said[-1] if said else 'no modem'}"
        raise SenseError(msg)
    try:
        return msgspec.json.decode(done.stdout, type=_Answer).modem
    except msgspec.MsgspecError as error:
        msg = 'mmcli says what it has not said before; give source = "wireless", or leave the signal out'
        raise SenseError(msg) from error


def _level(said: _Said) -> int:
    for network in NETWORKS:
        for figure in FIGURES:
            try:
                level = round(float(str(said.signal.get(network, {}).get(figure))))
            except (ValueError, OverflowError):
                continue
            if level in DBM:
                return level
    msg = "the modem tells no signal; have it look: mmcli -m any --signal-setup=60"
    raise SenseError(msg)
