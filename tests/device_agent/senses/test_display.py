"""The rotating code: RFC 6238's own examples, what is on the display when, and what a broken one costs."""

from __future__ import annotations

import os
import pty
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from device_agent.clock import TimeOfDay, Trust
from device_agent.drivers.memory import MemoryLock
from device_agent.errors import SettingsError
from device_agent.senses import display
from device_agent.senses.display import CLEAR, NO_TIME, CodeScreen, TextDisplay, code, load_secret, make_display
from device_agent.senses.loading import World, build, sensed
from device_agent.senses.sampling import LOST_AFTER, SenseError
from device_agent.senses.settings import Screen, SensesSettings
from session_service.presence.display import display_secret, step_of, totp
from tests.support.agent_world import ManualClock

SECRET = b"12345678901234567890"
BASE32 = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


def at(unix_s: int, trust: Trust = Trust.TRUSTED, error_s: float | None = 1.0) -> Callable[[], TimeOfDay]:
    return lambda: TimeOfDay(trust, unix_s, error_s)


@pytest.mark.parametrize(
    ("unix_s", "digits"),
    [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")],
)
def test_codes_are_those_of_rfc_6238(unix_s: int, digits: str) -> None:
    assert code(SECRET, unix_s) == digits


def test_the_service_takes_what_the_display_shows(tmp_path: Path) -> None:
    secret = display_secret(b"the installation's", "0123456789", 1)
    file = secret_file(tmp_path, totp(secret).provisioning_uri(name="0123456789", issuer_name="Unlatch"))
    now_s = 1_795_338_008
    assert step_of(code(load_secret(file), now_s), secret, now_s * 1_000, after_step=0) == now_s // 30


def secret_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "display_secret"
    file.write_text(f"{text}\n")
    file.chmod(mode)
    return file


def test_a_secret_is_an_address_or_base_32_and_nobody_elses(tmp_path: Path) -> None:
    assert load_secret(secret_file(tmp_path, BASE32.lower())) == SECRET
    assert load_secret(secret_file(tmp_path, f"otpauth://totp/Unlatch:17?secret={BASE32}&issuer=Unlatch")) == SECRET
    for wrong in ("", "hunter2", BASE32[:16], "otpauth://totp/Unlatch:17"):
        with pytest.raises(SenseError, match="unlatch presence secret"):
            load_secret(secret_file(tmp_path, wrong))
    with pytest.raises(SettingsError, match="chmod 600"):
        load_secret(secret_file(tmp_path, BASE32, 0o644))


@pytest.mark.parametrize(
    ("trust", "error_s", "text"),
    [
        (Trust.TRUSTED, 1.0, "287 082"),
        (Trust.ESTIMATED, 15.0, "287 082"),
        (Trust.ESTIMATED, 40.0, NO_TIME),  # a day without a time server; the service would take it for wrong
        (Trust.UNKNOWN, None, NO_TIME),
    ],
)
def test_no_code_is_shown_while_the_time_is_not_known(
    tmp_path: Path, trust: Trust, error_s: float | None, text: str
) -> None:
    file = tmp_path / "lcd"
    file.touch()
    screen = CodeScreen(TextDisplay(file), SECRET, 16, at(59, trust, error_s))
    screen.sample(100_000)
    assert file.read_text() == f"    {text}\n"
    assert screen.due_ms == 101_000  # the step ends with this second


def test_a_terminal_is_cleared_first_and_left_empty(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    screen = TextDisplay(Path(os.ttyname(theirs)))
    screen.show(["287 082", "caf\u00e9"])
    assert os.read(ours, 99) == CLEAR + b"287 082\r\ncaf?"
    screen.close()
    assert os.read(ours, 99) == CLEAR
    os.close(ours)
    os.close(theirs)
    TextDisplay(tmp_path / "lcd").close()  # it was pulled out


def test_a_display_that_is_pulled_out_is_logged_once_and_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "lcd"
    screen = CodeScreen(TextDisplay(file), SECRET, 7, at(59))
    for now_ms in range(LOST_AFTER + 3):
        screen.sample(now_ms)
    assert "No such file" in str(screen.cause)
    assert len(caplog.records) == 1
    file.touch()
    screen.sample(9_000)
    assert (file.read_text(), screen.cause) == ("287 082\n", None)


def test_another_package_may_bring_a_display(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("eink", "tests.device_agent.senses.test_display:TextDisplay", display.GROUP)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [entry] if group == display.GROUP else [])
    monkeypatch.setattr(EntryPoint, "load", lambda _entry: lambda wanted: TextDisplay(wanted.path("paper")))
    (tmp_path / "paper").touch()
    made = make_display(Screen(secret_file="s", driver="eink"), lambda name: tmp_path / name)
    made.show(["287 082"])
    assert (tmp_path / "paper").read_text() == "287 082\n"
    monkeypatch.setattr(EntryPoint, "load", lambda _entry: 1 / 0)
    with pytest.raises(SenseError, match=r"'eink' cannot be had \(ZeroDivisionError"):
        make_display(Screen(secret_file="s", driver="eink"), Path)
    with pytest.raises(SenseError, match="there is no 'plasma'; there are eink, text"):
        make_display(Screen(secret_file="s", driver="plasma"), Path)


def test_the_display_of_the_settings_is_shown_and_a_missing_secret_stops_nothing(tmp_path: Path) -> None:
    clock = ManualClock()
    world = World(clock=clock, time_of_day=at(59), path=lambda name: tmp_path / name)
    settings = SensesSettings(display=Screen(secret_file="display_secret", file="lcd"))
    assert "display_secret: cannot read it" in build(settings, world).missing["display"]
    secret_file(tmp_path, BASE32)
    (tmp_path / "lcd").touch()
    lock = sensed(MemoryLock(clock), settings, world)
    lock._sampler.step()
    assert (tmp_path / "lcd").read_text().strip() == "287 082"
    lock.close()
    assert (tmp_path / "lcd").read_text() == "\n"
