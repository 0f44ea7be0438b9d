"""Why an account cannot be erased yet; each problem says what to do first."""

from __future__ import annotations

from session_service.errors import ConflictError


class AccountInUseError(ConflictError):
    """A session runs or waits for a person's decision, or money is set aside. Extra: ``sessions``, their ids."""

    type = "account-in-use"
    title = "A ride is not over yet"


class PaymentPendingError(ConflictError):
    """A payment was begun within the hour and may still arrive. Extra: ``retry_after_s``."""

    type = "payment-pending"
    title = "A payment may still arrive"


class RefundPendingError(ConflictError):
    """Money is on its way back to the rider, and comes into the wallet again if that fails."""

    type = "refund-pending"
    title = "Money is on its way back"


class WalletNotEmptyError(ConflictError):
    """There is money in the wallet, and nobody has said what becomes of it. Extra: ``balance_minor``, ``currency``."""

    type = "wallet-not-empty"
    title = "There is money in the wallet"
