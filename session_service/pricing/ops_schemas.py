"""What the API takes and shows of tariffs for operators."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from session_service.clock import rfc3339
from session_service.errors import MalformedError
from session_service.pricing.model import TariffRow
from session_service.pricing.previews import Comparison, Spread
from session_service.pricing.schemas import PriceOut
from session_service.pricing.tariff import MAX_GRACE_S, MAX_PRICE_MINOR, MAX_TIME_S, Tariff, TariffError, parse

LAST_MS = 253_402_300_799_999  # the end of the year 9999

Kind = Literal["bike", "pod"]  # as the table has it
Price = Annotated[int, Field(strict=True, ge=0, le=MAX_PRICE_MINOR)]
Time = Annotated[int, Field(strict=True, ge=0, le=MAX_TIME_S)]


class TermsIn(BaseModel):
    """The terms of a rental; see ``tariff.Tariff``. Money in minor units of our currency, times in seconds."""

    model_config = ConfigDict(extra="forbid")

    unlock_fee_minor: Price
    interval_s: Annotated[int, Field(strict=True, ge=1, le=MAX_TIME_S)]
    interval_price_minor: Price
    free_s: Time = 0
    cap_minor: Price
    cap_window_s: Time = 86_400
    max_session_s: Time
    grace_s: Annotated[int, Field(strict=True, ge=0, le=MAX_GRACE_S)] = 60
    hold_minor: Annotated[int, Field(strict=True, ge=1, le=MAX_PRICE_MINOR)]

    def tariff(self, currency: str) -> Tariff:
        """Return the terms in a currency.

        Raises:
            MalformedError: they make no tariff.
        """
        try:
            return Tariff(currency=currency, **self.model_dump(include=set(TermsIn.model_fields)))
        except TariffError as error:
            msg = f"Correct the terms: {error}."
            raise MalformedError(msg) from error


class TariffIn(BaseModel):
    """A tariff for a kind of device, from a moment on (civil, since the Unix epoch), or from now."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    terms: TermsIn
    in_force_from_ms: Annotated[int | None, Field(strict=True, ge=0, le=LAST_MS)] = None
    reason: Annotated[str, Field(min_length=3, max_length=400, pattern=r"^[^\x00-\x1f\x7f]*$")]


class TariffPreviewIn(BaseModel):
    """Terms to try on the sessions of a kind that are over."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    terms: TermsIn


class TariffOut(BaseModel):
    """A tariff and when it begins; ``in_force`` is whether a session that started now would have it."""

    id: str
    kind: str
    in_force_from: str | None
    in_force_from_ms: int
    in_force: bool
    price: PriceOut

    @classmethod
    def of(cls, row: TariffRow, *, in_force: bool) -> TariffOut:
        """Return a tariff as the API shows it."""
        return cls(
            id=row.id,
            kind=row.kind,
            in_force_from=rfc3339(row.in_force_from_ms),
            in_force_from_ms=row.in_force_from_ms,
            in_force=in_force,
            price=PriceOut.of(parse(row.terms)),
        )


class AllTariffsOut(BaseModel):
    """All tariffs, by kind and time. ``version`` is what the next one names as seen."""

    version: str
    tariffs: list[TariffOut]


class SpreadOut(BaseModel):
    """How amounts are spread: so many of a hundred sessions have this amount or a smaller one."""

    p10: int
    p50: int
    p90: int
    p100: int

    @classmethod
    def of(cls, spread: Spread) -> SpreadOut:
        """Return a spread as the API shows it."""
        return cls(**spread._asdict())


class TariffPreviewOut(BaseModel):
    """Closed sessions of the last seven days: what they cost, and would have cost.

    ``free`` of them cost nothing, for other reasons than the price, and are left out of all that follows. ``complete``
    is whether these are all: of more than 50,000 the newest are taken.
    """

    currency: str
    since: str | None
    sessions: int
    complete: bool
    free: int
    charged_minor: int
    would_minor: int
    dearer: int
    cheaper: int
    charged: SpreadOut
    would: SpreadOut
    change: SpreadOut

    @classmethod
    def of(cls, found: Comparison, currency: str, since_ms: int, most: int) -> TariffPreviewOut:
        """Return a comparison as the API shows it."""
        spreads = {name: SpreadOut.of(getattr(found, name)) for name in ("charged", "would", "change")}
        sums = {name: getattr(found, name) for name in ("free", "charged_minor", "would_minor", "dearer", "cheaper")}
        return cls(
            currency=currency,
            since=rfc3339(since_ms),
            sessions=found.rides,
            complete=found.rides < most,
            **sums,
            **spreads,
        )
