from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators import hands
from simulators.cli import main


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("command", ["up", "fleet", "hand", "replay", "check", "payments"])
def test_every_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"examples:\n  unlatch-sim {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["up", "--devices", "1"],
        ["up", "--port", "http"],
        ["fleet", "somewhere"],
        ["fleet", "somewhere", "--broker", "localhost"],
        ["hand", "somewhere", "0123456789"],
        ["replay", "somewhere"],
        ["replay", "somewhere", "--out", "x", "--speed", "0"],
        ["replay", "somewhere", "--out", "x", "--trips", "-3"],
        ["check", "somewhere"],
    ],
)
def test_a_wrong_call_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_a_replay_of_nothing_says_what_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(tmp_path), "--out", str(tmp_path / "out.json")]) == 1
    assert "needs a folder with trips.csv and stations.csv" in capsys.readouterr().out


def test_a_fleet_of_nothing_says_where_fleets_come_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", str(tmp_path), "--broker", "127.0.0.1:1"]) == 1
    assert "has no devices; `unlatch-sim up` makes" in capsys.readouterr().out


def test_a_hand_on_a_fleet_that_does_not_run_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hand", str(tmp_path), "0123456789", "lock_by_hand"]) == 1
    assert "No fleet listens in" in capsys.readouterr().out


def test_a_hand_does_what_is_said_and_tells_what_it_felt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(root: Path, deed: str, device: str) -> hands.Facts:
        assert (root, deed, device) == (tmp_path, "lock_by_hand", "0123456789")
        return {"id": 0, "bolt": "closed"}

    monkeypatch.setattr(hands, "ask", ask)

    assert main(["hand", str(tmp_path), "0123456789", "lock_by_hand"]) == 0
    assert capsys.readouterr().out == "bolt: closed\n"


def test_a_check_of_no_database_says_which_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path), "--database", f"sqlite:///{tmp_path}/none.db"]) == 1
    assert "none.db cannot be read: " in capsys.readouterr().out
    assert not (tmp_path / "none.db").exists()


def test_payments_without_secrets_say_how_to_make_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["payments", "--secrets", str(tmp_path)]) == 1
    assert "To make it: unlatch secrets" in capsys.readouterr().out


def test_a_used_folder_is_not_used_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "something").touch()
    assert main(["up", "--dir", str(tmp_path)]) == 1
    assert "is not empty; name a new folder" in capsys.readouterr().out
