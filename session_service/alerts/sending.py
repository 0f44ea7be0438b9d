"""Sends notices by webhook and by mail, for as long as each takes; nothing is sent that is not set."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import smtplib
import ssl
from functools import partial
from typing import Final

import httpx

from session_service.alerts import notices
from session_service.alerts.model import AlertNotice, Channel
from session_service.alerts.notices import GIVE_UP_MS
from session_service.clock import Clock
from session_service.database import Database
from session_service.errors import SetupError
from session_service.metrics import NOTICES, NOTICES_WAITING
from session_service.secret_text import ensure_private, place_of, read_secret
from session_service.settings import Settings

logger = logging.getLogger(__name__)

TIMEOUT_S: Final = 10.0  # a receiver that needs longer should answer first and work later
SIGNATURE_HEADER: Final = "Unlatch-Signature"
WEBHOOK_SECRET: Final = "alert-webhook-secret"  # noqa: S105 - the file's name
SMTP_PASSWORD: Final = "smtp-password"  # noqa: S105 - the file's name


class Sender:
    """Runs until it is cancelled. What fails is tried again, after gaps that grow from 10 s to 6 h, for three days.

    Raises:
        SetupError: a channel is set, and its secret is missing, too easy to guess or readable by everybody.
    """

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._secret = _webhook_secret(settings) if settings.alert_webhook_url else b""
        self._password = _smtp_password(settings) if settings.smtp_user else ""
        self._channels = notices.channels_of(settings)

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await asyncio.sleep(self._settings.alerts_every_ms / 1000)
            try:
                await self.round()
            except Exception:  # also a mistake of ours: it must not end all later rounds
                logger.exception("notices not sent, trying again in %d ms", self._settings.alerts_every_ms)

    async def round(self) -> None:
        """Tell what is new, and send what is due."""
        now_ms = self._clock.now_ms()
        await self._database.write(partial(notices.compose, channels=self._channels, now_ms=now_ms))
        for notice in await self._database.read(partial(notices.due, now_ms=now_ms)):
            if await self._database.write(partial(notices.take, notice=notice, now_ms=now_ms)):
                await self._try(notice)
        NOTICES_WAITING.set(await self._database.read(notices.waiting))

    async def _try(self, notice: AlertNotice) -> None:
        outcome: str | None = "sent"
        try:
            await (self._post(notice) if notice.channel == Channel.WEBHOOK else asyncio.to_thread(self._mail, notice))
        except (httpx.HTTPError, smtplib.SMTPException, OSError) as error:
            too_old = self._clock.now_ms() - notice.created_at_ms > GIVE_UP_MS
            outcome = "given_up" if too_old else None
            logger.warning("notice not taken id=%s try=%d: %s", notice.id, notice.tries + 1, type(error).__name__)
        NOTICES.labels(notice.channel, outcome or "failed").inc()
        if outcome is not None:
            done = partial(notices.finish, notice=notice, outcome=outcome, now_ms=self._clock.now_ms())
            await self._database.write(done)

    async def _post(self, notice: AlertNotice) -> None:
        body = notices.as_event(notice)
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": notice.id,
            SIGNATURE_HEADER: signature(self._secret, body, self._clock.now_ms() // 1000),
        }
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            answer = await client.post(self._settings.alert_webhook_url, content=body, headers=headers)
        answer.raise_for_status()

    def _mail(self, notice: AlertNotice) -> None:
        settings = self._settings
        mail = notices.as_mail(notice, settings.smtp_from, settings.receivers, settings.brand)
        with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=TIMEOUT_S) as server:
            if settings.smtp_starttls:
                server.starttls(context=ssl.create_default_context(cafile=settings.smtp_ca))
            if settings.smtp_user:
                server.login(settings.smtp_user, self._password)
            server.send_message(mail)


def signature(secret: bytes, body: bytes, now_s: int) -> str:
    """Return ``t=UNIX_SECONDS,v1=HEX``: the mac is over the seconds, a full stop and the body, as payments' are."""
    mac = hmac.digest(secret, str(now_s).encode() + b"." + body, hashlib.sha256).hex()
    return f"t={now_s},v1={mac}"


def _webhook_secret(settings: Settings) -> bytes:
    try:
        return read_secret(WEBHOOK_SECRET, settings.secrets_dir).encode()
    except OSError as error:
        place = settings.secrets_dir / WEBHOOK_SECRET
        msg = f"UNLATCH_ALERT_WEBHOOK_URL is set and {place} is missing. Make it: openssl rand -hex 32"
        raise SetupError(msg) from error


def _smtp_password(settings: Settings) -> str:
    """Return what the mail server gave us; it is not ours to say that it is too short."""
    path = place_of(SMTP_PASSWORD, settings.secrets_dir)
    try:
        ensure_private(path)
        return path.read_text().strip()
    except OSError as error:
        msg = f"UNLATCH_SMTP_USER is set and {path} cannot be read ({error}). Put the password there, mode 600."
        raise SetupError(msg) from error
