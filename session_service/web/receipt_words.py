"""A receipt in a rider's language: one telling of it, for the page and for the PDF alike.

Amounts are of the receipt and never reckoned here again. Times are those of which the evidence speaks; where a report
came later, the receipt says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from session_service.clock import moment_ms
from session_service.pricing.tariff import What
from session_service.sessions.machine import Event, Outcome
from session_service.sessions.schemas import EvidenceOut, LineOut, ReceiptOut
from session_service.web.language import Language

LATE_MS: Final = 5_000  # sooner, a report's way explains itself


def _(message: str) -> str:
    """Mark a text for the catalogues; it is translated when it is told."""
    return message


OUTCOMES: Final[dict[str, str]] = {
    Outcome.RIDDEN: _("You used it, and it is locked again."),
    Outcome.UNDONE: _("You locked it again at once, in the same place. You pay nothing."),
    Outcome.NOT_UNLOCKED: _("The lock stayed shut. You pay nothing."),
    Outcome.UNCONFIRMED: _("The lock never answered. You pay nothing."),
    Outcome.ENDED_BY_OPERATOR: _("Our staff ended this. You pay for what is proven, and nothing more."),
    Outcome.DECIDED: _("Our staff looked at this and decided."),
    Outcome.WRONG_DEVICE: _("Another one opened, not yours. You pay nothing, and we are checking the label."),
    Outcome.DID_NOT_OPEN: _("You said at once that it did not open. You pay nothing."),
    Outcome.BROKEN: _("You said at once that it is broken. You pay nothing."),
}
EVIDENCE: Final[dict[str, str]] = {
    Event.UNLOCKED: _("The lock reported that it opened"),
    Event.STAYED_SHUT: _("The lock reported that it stayed shut"),
    Event.LOCKED: _("The lock reported that it closed"),
    Event.LOCKED_LATE: _("The lock reported that it closed"),
    Event.LOCK_REFUSED: _("The lock reported that it could not close yet"),
    Event.USED_ON: _("It reported that it was moved or opened after Finish"),
}
SAID: Final = _("It reported something else")
HOLDS: Final[dict[str | None, str]] = {
    None: _("%(amount)s is set aside until this is decided."),
    "posted": _("%(amount)s was set aside at Start. The fare was paid from it; the rest is yours again."),
    "released": _("%(amount)s was set aside at Start, and all of it is yours again."),
    "expired": _("%(amount)s was set aside at Start, and all of it is yours again."),
}
SPENT: Final = _("%(amount)s was set aside at Start, and all of it went towards the fare.")
WAIVED: Final = _("Not charged")
KINDS: Final = {"bike": _("Bike %(number)s"), "pod": _("Pod %(number)s")}


@dataclass(frozen=True, slots=True)
class Row:
    """What stands on the left, and on the right."""

    what: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A receipt in words."""

    thing: str
    day: str
    outcome: str
    times: list[Row]
    lines: list[Row]
    sums: list[Row]
    hold: str
    debt: str
    evidence: list[Row]
    number: str


def told(language: Language, receipt: ReceiptOut) -> Told:
    """Return a receipt in a language."""
    _, money = language.text, _Money(language, receipt.currency)
    kind = _(KINDS.get(receipt.kind, KINDS["pod"]))
    return Told(
        thing=kind % {"number": receipt.number},
        day=_day(language, receipt),
        outcome=_(OUTCOMES[receipt.outcome]) if receipt.outcome in OUTCOMES else "",
        times=_times(language, receipt),
        lines=[Row(_line(language, money, receipt, line), money.of(line.amount_minor)) for line in receipt.lines],
        sums=_sums(language, money, receipt),
        hold=_(_hold(receipt)) % {"amount": money.of(receipt.hold.amount_minor)},
        debt=_debt(language, money, receipt),
        evidence=[_proof(language, proof) for proof in receipt.evidence],
        number=receipt.session_id,
    )


@dataclass(frozen=True, slots=True)
class _Money:
    language: Language
    currency: str

    def of(self, amount_minor: int) -> str:
        return self.language.money(amount_minor, self.currency)


def _day(language: Language, receipt: ReceiptOut) -> str:
    at_ms = moment_ms(receipt.start_at or receipt.end_at)
    return "" if at_ms is None else language.day(at_ms)


def _times(language: Language, receipt: ReceiptOut) -> list[Row]:
    _ = language.text
    start_ms, end_ms = moment_ms(receipt.start_at), moment_ms(receipt.end_at)
    rows = []
    if start_ms is not None:
        rows.append(Row(_("Opened"), language.clock(start_ms)))
    if end_ms is not None:
        rows.append(Row(_("Ended"), language.clock(end_ms)))
    if start_ms is not None and end_ms is not None:
        rows.append(Row(_("Time"), span(receipt.duration_s)))
    return rows


def span(seconds: float) -> str:
    """Return a length of time as clocks show it: ``7:03``, ``2:07:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _line(language: Language, money: _Money, receipt: ReceiptOut, line: LineOut) -> str:
    _, tariff = language.text, receipt.tariff
    match line.what:
        case What.UNLOCK_FEE:
            return _("Unlock fee")
        case What.TIME:
            return _("%(count)s times %(interval)s at %(price)s") % {
                "count": line.quantity,
                "interval": language.duration(tariff.interval_s),
                "price": money.of(tariff.interval_price_minor),
            }
        case What.CAP:
            return _("At most %(cap)s in %(window)s") % {
                "cap": money.of(tariff.cap_minor),
                "window": language.duration(tariff.cap_window_s),
            }
        case _:
            return _(WAIVED)


def _sums(language: Language, money: _Money, receipt: ReceiptOut) -> list[Row]:
    _ = language.text
    rows = [Row(_("Total"), money.of(receipt.fare_minor))]
    if receipt.fare_minor:
        rows.append(Row(_("Paid from your wallet"), money.of(receipt.paid_minor)))
    if receipt.debt_minor:
        rows.append(Row(_("Not covered by your wallet"), money.of(receipt.debt_minor)))
    if receipt.refunded_minor:
        rows.append(Row(_("Given back to you"), money.of(receipt.refunded_minor)))
    return rows


def _hold(receipt: ReceiptOut) -> str:
    spent = receipt.hold.ended == "posted" and receipt.fare_minor >= receipt.hold.amount_minor
    return SPENT if spent else HOLDS[receipt.hold.ended]


def _debt(language: Language, money: _Money, receipt: ReceiptOut) -> str:
    _ = language.text
    if not receipt.owed_minor:
        return ""
    return _("%(debt)s of it is not paid yet. What you pay in next pays that first; then you can start again.") % {
        "debt": money.of(receipt.owed_minor)
    }


def _proof(language: Language, proof: EvidenceOut) -> Row:
    _ = language.text
    at_ms, received_ms = moment_ms(proof.at), moment_ms(proof.received_at)
    parts = [_(EVIDENCE.get(proof.what, SAID))]
    if proof.key_id is not None:
        parts.append(_("signed by the device"))
    if at_ms is not None and received_ms is not None and received_ms - at_ms > LATE_MS:
        parts.append(_("heard at %(time)s") % {"time": language.clock(received_ms)})
    return Row(_(", ").join(parts), "" if at_ms is None else language.clock(at_ms))
