"""What can be wrong with a tariff that somebody wants to set."""

from __future__ import annotations

from session_service.errors import ConflictError, Problem


class NoTariffError(Problem):
    """A kind of device has no tariff, so nothing of it can be let."""

    status = 409
    type = "no-tariff"
    title = "There is no price for this yet"


class TariffClashError(ConflictError):
    """The tariff does not go together with those that are set."""

    type = "tariff-clash"
    title = "This tariff clashes with another"
