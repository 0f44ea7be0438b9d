"""A small display with the rotating code (RFC 6238): six digits that somebody reads who stands before it.

Kernels drive the common ones themselves: ``hd44780`` gives ``/dev/lcd``, ``ssd1307fb`` a console such as ``/dev/tty1``.
Both take the same two escape sequences, so one implementation writes to either (docs/decisions/0033).
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import parse_qs, urlsplit

from device_agent.clock import TimeOfDay
from device_agent.keys import read_secret
from device_agent.senses.sampling import Sampled, SenseError
from device_agent.senses.settings import Screen

GROUP: Final = "unlatch.displays"
CLEAR: Final = b"\x1b[H\x1b[2J"  # home, and all off: console_codes(4), and charlcd of the kernel
STEP_S: Final = 30  # as the service counts (session_service/presence/display.py)
DIGITS: Final = 6
SECRET_BYTES: Final = 20  # the least, and what the service gives: the hash's length, RFC 4226 section 4
WRONG_BY_S: Final = 20.0  # the service takes a code of the step before and after
NO_TIME: Final = "--- ---"
RETRY_MS: Final = 30_000


class Display(Protocol):
    """Some lines of ASCII text."""

    def show(self, lines: Sequence[str]) -> None:
        """Show these lines and nothing else.

        Raises:
            OSError: it does not answer.
        """

    def close(self) -> None:
        """Show nothing, and let go of it."""


class TextDisplay:
    """A character device that takes text, or a file with what it would show."""

    def __init__(self, file: Path) -> None:
        """Keep where to write; it is opened for each text, so one that is plugged in again works again."""
        self._file = file

    def show(self, lines: Sequence[str]) -> None:
        """See ``Display``."""
        text = "\n".join(lines).encode("ascii", "replace")
        descriptor = os.open(self._file, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, text + b"\n")
            else:
                os.write(descriptor, CLEAR + text)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """See ``Display``."""
        try:
            self.show(())
        except OSError:
            return  # it has gone, and shows nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedDisplay:
    """What a display is made from: its table of the settings, and a path that they name made absolute."""

    settings: Screen
    path: Callable[[str], Path]


class CodeScreen:
    """Shows the code of now; a new one every 30 s, and none while the time is not known well enough."""

    def __init__(self, display: Display, secret: bytes, columns: int, time_of_day: Callable[[], TimeOfDay]) -> None:
        """Prepare; ``secret`` has at least ``SECRET_BYTES``."""
        self._display, self._secret, self._columns, self._time_of_day = display, secret, columns, time_of_day
        self.due_ms: int | None = 0
        self._shown: Sampled[None] = Sampled("display", self._show, 0)

    def sample(self, now_ms: int) -> None:
        """See ``sampling.Due``."""
        unix_s = self._time_of_day().unix_s
        self.due_ms = now_ms + (STEP_S - unix_s % STEP_S) * 1_000
        self._shown.sample(now_ms)
        if self.cause is not None:
            self.due_ms = min(self.due_ms, now_ms + RETRY_MS)

    @property
    def cause(self) -> str | None:
        """Why nothing could be shown last time, ``None`` if it could."""
        return self._shown.cause

    def text(self) -> str:
        """Return what there is to be read now."""
        now = self._time_of_day()
        if now.error_s is None or now.error_s > WRONG_BY_S:
            return NO_TIME
        digits = code(self._secret, now.unix_s)
        return f"{digits[:3]} {digits[3:]}"

    def _show(self) -> None:
        self._display.show([self.text().center(self._columns).rstrip()])


def code(secret: bytes, unix_s: int) -> str:
    """Return the code of a moment (RFC 6238)."""
    from cryptography.hazmat.primitives.hashes import SHA1  # noqa: PLC0415 - only devices with a display need them
    from cryptography.hazmat.primitives.twofactor.totp import TOTP  # noqa: PLC0415

    return TOTP(secret, DIGITS, SHA1(), STEP_S).generate(unix_s).decode()  # noqa: S303 - RFC 6238's own


def load_secret(file: Path) -> bytes:
    """Return the secret in a file: an ``otpauth://`` address as the service shows it, or the base 32 in it.

    Raises:
        SettingsError: the file cannot be read, or others than its owner can read it, too.
        SenseError: it holds no secret.
    """
    text = read_secret(file).strip()
    if text.startswith("otpauth://"):
        text = parse_qs(urlsplit(text).query).get("secret", [""])[0]
    try:
        secret = base64.b32decode(text.upper())
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) < SECRET_BYTES:
        msg = f"{file}: no secret of a display; put there what `unlatch presence secret` says"
        raise SenseError(msg)
    return secret


def make_display(settings: Screen, path: Callable[[str], Path]) -> Display:
    """Return the display that the settings name.

    Raises:
        SenseError: there is none of that name, or the other package's code failed.
    """
    if settings.driver == "text":
        return TextDisplay(path(settings.file))
    from importlib.metadata import entry_points  # noqa: PLC0415 - a megabyte that our own does without

    others = {entry.name: entry for entry in entry_points(group=GROUP)}
    if settings.driver not in others:
        msg = (
            f"senses.display.driver: there is no {settings.driver!r}; there are {', '.join(sorted({'text', *others}))}"
        )
        raise SenseError(msg)
    try:
        display: Display = others[settings.driver].load()(WantedDisplay(settings=settings, path=path))
    except Exception as error:
        msg = f"the display {settings.driver!r} cannot be had ({type(error).__name__}: {error}); ask its maker"
        raise SenseError(msg) from error
    return display
