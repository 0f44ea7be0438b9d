"""Payment providers: the port that each one implements, and the sandbox.

A provider is asked outside any transaction: it may take seconds. What it says later comes as a signed message.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final, Literal, NamedTuple, Protocol

import httpx
import msgspec

from session_service.errors import MalformedError
from session_service.ledger.errors import BadWebhookSignatureError, ProviderUnavailableError

TIMEOUT_S: Final = 10.0  # a rider waits for the page to pay on; a provider that needs longer is down
SIGNATURE_WINDOW_S: Final = 300  # a recorded message is worthless after this; clocks differ by seconds, not minutes
MAX_WEBHOOK_BYTES: Final = 16_384  # ours have 200; read before anybody has proven who they are
MAX_PAYMENT_ID_CHARS: Final = 60  # the column's length
MAX_PAY_URL_CHARS: Final = 2_000  # what browsers and proxies pass on

SIGNATURE_HEADER: Final = "sandbox-signature"


class PaymentWish(NamedTuple):
    """A payment that a rider wants to make. ``reference`` is the top-up's id and names the payment for good."""

    reference: str
    amount_minor: int
    currency: str
    webhook_url: str
    return_url: str


class Payment(NamedTuple):
    """A payment as the provider keeps it: its id there, and where the rider pays."""

    id: str
    pay_url: str


class PaymentResult(StrEnum):
    """How a payment ended."""

    SUCCEEDED = "payment.succeeded"
    FAILED = "payment.failed"


class PaymentEvent(NamedTuple):
    """What a provider says, and has signed, of a payment."""

    result: PaymentResult
    payment_id: str
    reference: str
    amount_minor: int
    currency: str


class RefundWish(NamedTuple):
    """Money that is to go back to where a payment came from; ``reference`` names this for good."""

    reference: str
    payment_id: str
    amount_minor: int
    currency: str
    webhook_url: str


class RefundResult(StrEnum):
    """How money on its way back has ended."""

    SUCCEEDED = "refund.succeeded"
    FAILED = "refund.failed"


class Refund(NamedTuple):
    """A refund as the provider keeps it: its id there, and its end, if it has one."""

    id: str
    result: RefundResult | None


class RefundEvent(NamedTuple):
    """What a provider says, and has signed, of a refund."""

    result: RefundResult
    refund_id: str
    payment_id: str
    reference: str
    amount_minor: int
    currency: str


class PaymentProvider(Protocol):
    """What the service needs of a provider. ``name`` stands in the ledger's account ``provider:NAME``."""

    name: str

    async def create_payment(self, wish: PaymentWish) -> Payment:
        """Return the payment for a wish; for the same reference always the same one.

        Raises:
            ProviderUnavailableError: the provider does not answer as agreed. Asking again is safe.
        """

    async def create_refund(self, wish: RefundWish) -> Refund:
        """Give a payment, or a part of it, back; for the same reference once, however often it is asked for.

        Raises:
            ProviderUnavailableError: the provider does not answer as agreed. Asking again is safe.
        """

    def read_webhook(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> PaymentEvent | RefundEvent | None:
        """Return what the provider says, or ``None`` if it concerns nothing here.

        Raises:
            BadWebhookSignatureError: it is not the provider who says it, or not now.
            MalformedError: it is, but the message has not the form agreed on.
        """

    async def close(self) -> None:
        """Let go of connections."""


_Id = Annotated[str, msgspec.Meta(pattern=f"^[!-~]{{1,{MAX_PAYMENT_ID_CHARS}}}\\Z")]  # what any database can store


class _SandboxPayment(msgspec.Struct):
    id: _Id
    pay_url: Annotated[str, msgspec.Meta(pattern=r"^https?://[!-~]+\Z", max_length=MAX_PAY_URL_CHARS)]


class _SandboxRefund(msgspec.Struct):
    id: _Id
    status: Literal["pending", "succeeded", "failed"]


class _SandboxEvent(msgspec.Struct):
    id: str
    type: str
    payment_id: _Id
    reference: _Id
    amount_minor: int
    currency: str
    refund_id: _Id | None = None


IDLE_S: Final = 2.0  # below the 5 s after which servers hang up, so that no request meets a closing connection


class SandboxProvider:
    """The client of ``simulators/payments.py``.

    Args:
        url: where the provider is.
        api_key: proves to it who we are.
        webhook_secret: proves to us who it is.
        transport: another way to reach it, for tests.
    """

    name = "sandbox"

    def __init__(
        self, url: str, api_key: str, webhook_secret: str, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._webhook_secret = webhook_secret.encode()
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=TIMEOUT_S,
            limits=httpx.Limits(keepalive_expiry=IDLE_S),
            transport=transport,
            trust_env=False,  # a proxy for the internet does not lead to a sandbox on this machine
        )

    async def create_payment(self, wish: PaymentWish) -> Payment:  # noqa: D102
        try:
            answer = await self._client.post(
                "/v1/payments", json=wish._asdict(), headers={"Idempotency-Key": wish.reference}
            )
            answer.raise_for_status()
            payment = msgspec.json.decode(answer.content, type=_SandboxPayment)
        except (httpx.HTTPError, msgspec.MsgspecError) as error:
            msg = "Repeat the request with the same Idempotency-Key in a moment; nothing has been paid."
            raise ProviderUnavailableError(msg, top_up_id=wish.reference) from error
        return Payment(payment.id, payment.pay_url)

    async def create_refund(self, wish: RefundWish) -> Refund:  # noqa: D102
        try:
            answer = await self._client.post(
                "/v1/refunds", json=wish._asdict(), headers={"Idempotency-Key": wish.reference}
            )
            answer.raise_for_status()
            refund = msgspec.json.decode(answer.content, type=_SandboxRefund)
        except (httpx.HTTPError, msgspec.MsgspecError) as error:
            msg = "It is asked again; until then the money is on its way."
            raise ProviderUnavailableError(msg, refund=wish.reference) from error
        return Refund(refund.id, None if refund.status == "pending" else RefundResult(f"refund.{refund.status}"))

    def read_webhook(  # noqa: D102
        self, headers: Mapping[str, str], body: bytes, now_ms: int
    ) -> PaymentEvent | RefundEvent | None:
        self._check_signature(headers.get(SIGNATURE_HEADER, ""), body, now_ms // 1000)
        try:
            event = msgspec.json.decode(body, type=_SandboxEvent)
        except msgspec.MsgspecError as error:
            msg = f"The message is signed but has not the form of a sandbox event: {error}"
            raise MalformedError(msg) from error
        about = (event.payment_id, event.reference, event.amount_minor, event.currency)
        if event.type in set(RefundResult) and event.refund_id is not None:
            return RefundEvent(RefundResult(event.type), event.refund_id, *about)
        if event.type not in set(PaymentResult):
            return None
        return PaymentEvent(PaymentResult(event.type), *about)

    async def close(self) -> None:  # noqa: D102
        await self._client.aclose()

    def _check_signature(self, header: str, body: bytes, now_s: int) -> None:
        """Check ``t=UNIX_SECONDS,v1=HEX``: the mac is over the seconds, a full stop and the body."""
        parts = dict(part.partition("=")[::2] for part in header.split(","))
        signed_at, mac = parts.get("t", ""), parts.get("v1", "")
        expected = hmac.digest(self._webhook_secret, signed_at.encode() + b"." + body, hashlib.sha256).hex()
        if not hmac.compare_digest(mac.encode(), expected.encode()):
            msg = "Sign the message with the webhook secret of this installation."
            raise BadWebhookSignatureError(msg)
        if not signed_at.isdecimal() or abs(now_s - int(signed_at)) > SIGNATURE_WINDOW_S:
            msg = f"The message is older than {SIGNATURE_WINDOW_S} s, or a clock is wrong. Sign it anew."
            raise BadWebhookSignatureError(msg)
