"""What can be wrong with a request for money (DESIGN 5)."""

from __future__ import annotations

from session_service.errors import ConflictError, Problem, TooManyRequestsError


class InsufficientFundsError(Problem):
    """The free balance does not cover the hold. Extra: ``hold_minor``, ``available_minor``."""

    status = 402
    type = "insufficient-funds"
    title = "There is not enough money in the wallet"


class DebtUnpaidError(Problem):
    """The rider owes for an earlier session. Extra: ``debt_minor``."""

    status = 402
    type = "debt-unpaid"
    title = "An earlier session is not paid yet"


class TransferConflictError(ConflictError):
    """The name of a transfer or hold has been used with other content."""

    type = "transfer-conflict"
    title = "This transfer exists with other content"


class HoldEndedError(ConflictError):
    """The hold has ended in another way. Extra: ``ended``."""

    type = "hold-ended"
    title = "This hold has ended already"


class RefundTooLargeError(ConflictError):
    """More than was charged for the session and not yet given back. Extra: ``refundable_minor``."""

    type = "refund-too-large"
    title = "This is more than can be given back"


class PaymentMismatchError(ConflictError):
    """A provider's message does not agree with the top-up that it names."""

    type = "payment-mismatch"
    title = "The payment does not agree with our records"


class BadWebhookSignatureError(Problem):
    """The message is not the payment provider's, or too old."""

    status = 400
    type = "bad-webhook-signature"
    title = "The signature is not valid"


class TooManyTopUpsError(TooManyRequestsError):
    """The rider has begun several payments and finished none of them. Extra: ``retry_after_s``, ``limit``."""

    type = "too-many-top-ups"
    title = "Too many payments are waiting"


class ProviderUnavailableError(Problem):
    """The payment provider does not answer as agreed. Extra: ``top_up_id``."""

    status = 502
    type = "payment-provider-unavailable"
    title = "The payment provider cannot be reached"
