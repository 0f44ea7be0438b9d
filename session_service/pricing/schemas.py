"""What the API says about prices."""

from __future__ import annotations

from pydantic import BaseModel

from session_service.pricing.tariff import Tariff


class PriceOut(BaseModel):
    """The terms of a rental; see ``tariff.Tariff``. Money in minor units, times in seconds."""

    currency: str
    unlock_fee_minor: int
    interval_s: int
    interval_price_minor: int
    free_s: int
    cap_minor: int
    cap_window_s: int
    max_session_s: int
    grace_s: int
    hold_minor: int

    @classmethod
    def of(cls, tariff: Tariff) -> PriceOut:
        """Return the tariff as the API shows it."""
        return cls(**{name: getattr(tariff, name) for name in cls.model_fields})


class TariffsOut(BaseModel):
    """The tariffs in force now, by kind of device."""

    tariffs: dict[str, PriceOut]
