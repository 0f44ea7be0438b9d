"""The table of limits: who is counted, how often in how long, and why. All of it is for one instance.

An address stands for many riders: mobile networks put hundreds behind one. So its limits are wide, and what one person
does is counted by the token. ``UNLATCH_LIMITS_FACTOR`` multiplies every amount, for replays and load tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MINUTE_S: Final = 60
HOUR_S: Final = 3_600
DAY_S: Final = 24 * HOUR_S


class By(StrEnum):
    """Who is counted."""

    ADDRESS = "address"  # IPv4, or the first 64 bits of IPv6: so much is one customer's (RFC 6177)
    CALLER = "caller"  # the token, in a header or a cookie; who sends none is counted by the address alone
    LABEL = "label"  # whoever asks


@dataclass(frozen=True, slots=True)
class Limit:
    """``amount`` requests in ``seconds``; one that fails counts as ``failed_cost``, because it teaches an attacker."""

    name: str
    by: By
    amount: int
    seconds: int
    reason: str
    failed_cost: int = 1


@dataclass(frozen=True, slots=True)
class Gate:
    """``at_once`` requests of one kind may be under way together."""

    name: str
    by: By
    at_once: int
    reason: str


REQUESTS: Final = Limit(
    "requests", By.ADDRESS, 6_000, MINUTE_S, "100 a second is a fifth of what one instance can answer"
)
GUESTS: Final = Limit("guests", By.ADDRESS, 60, HOUR_S, "two school classes; each guest is rows for good")
TOP_UPS: Final = Limit("top-ups", By.CALLER, 20, HOUR_S, "each asks the payment provider; people pay once or twice")
REFUNDS: Final = Limit("refunds", By.CALLER, 10, HOUR_S, "each asks the payment provider; people take out all at once")
SCANS: Final = Limit("scans", By.CALLER, 60, MINUTE_S, "a person scans one in two seconds at the most", failed_cost=5)
SCANS_FROM: Final = Limit(
    "scans-from", By.ADDRESS, 600, MINUTE_S, "a failed photograph takes 0.6 s of a processor", failed_cost=20
)
NUMBERS: Final = Limit(
    "numbers", By.CALLER, 30, HOUR_S, "a broken camera, a few rides; five wrong numbers and it is over", failed_cost=6
)
NUMBERS_FROM: Final = Limit(
    "numbers-from", By.ADDRESS, 300, HOUR_S, "a crowd; 30 wrong ones: a week of tries for one of 10,000", failed_cost=10
)
NEARBY_FROM: Final = Limit(
    "nearby-from", By.ADDRESS, 1_200, MINUTE_S, "a crowd that looks at maps; each reads the places around a point"
)
STARTS: Final = Limit("starts", By.CALLER, 30, MINUTE_S, "a rider presses again while a lock is away", failed_cost=3)
STARTS_FROM: Final = Limit(
    "starts-from", By.ADDRESS, 600, MINUTE_S, "a crowd behind one address; forged labels cost more", failed_cost=20
)
IDENTIFICATIONS: Final = Limit(
    "identifications", By.CALLER, 10, MINUTE_S, "a rider in doubt asks once or twice", failed_cost=2
)
IDENTIFICATIONS_OF: Final = Limit(
    "identifications-of", By.LABEL, 6, MINUTE_S, "whoever asks: each makes a thing in the street sound, on a battery"
)
"""Taken by the endpoint, which knows the label. Starts have none of this kind: it would let anybody keep all others
from a thing, and a Start that sends a command costs whoever presses it."""

ENROLMENTS: Final = Limit(
    "enrolments", By.ADDRESS, 100, HOUR_S, "a depot sets up its bikes; ten wrong claims and it is over", failed_cost=10
)
SIGN_INS: Final = Limit(
    "sign-ins", By.ADDRESS, 100, 15 * MINUTE_S, "an office; each takes 50 ms of argon2, and who guesses waits anyway"
)
PASSKEYS: Final = Limit("passkeys", By.CALLER, 20, HOUR_S, "a person adds one, and another on a second phone")
PASSKEY_SIGN_INS: Final = Limit(
    "passkey-sign-ins", By.ADDRESS, 100, 15 * MINUTE_S, "a crowd behind one address, each person once", failed_cost=5
)
VAN_ROUTES: Final = Limit("van-routes", By.CALLER, 60, MINUTE_S, "each reads the whole queue; a van asks at each stop")
VERIFICATIONS: Final = Limit(
    "verifications", By.CALLER, 600, MINUTE_S, "each hashes 5,000 rows of the audit: 0.1 s of a processor"
)
EXPORTS: Final = Limit("exports", By.CALLER, 10, HOUR_S, "each reads all that there is about a rider")
DISPUTES: Final = Limit("disputes", By.CALLER, 5, DAY_S, "each may end a ride for nothing and takes a label out of use")
"""Taken by the endpoint, by the rider and not by the token: whoever asks for a new token is no new rider."""

CHARTS: Final = Limit("charts", By.CALLER, 600, MINUTE_S, "a page draws one in some seconds; each adds up 20,000 rows")
REPORT_LOGS: Final = Limit("report-logs", By.CALLER, 300, MINUTE_S, "a person reads one page after the other")
"""Taken by the endpoints, whose paths name a device."""

STREAMS: Final = Gate("streams", By.CALLER, 8, "a rider has a phone, a tablet and tabs left open")
STREAMS_FROM: Final = Gate("streams-from", By.ADDRESS, 200, "50 KiB each, for as long as the client likes")
PHOTOGRAPHS: Final = Gate("photographs", By.CALLER, 2, "a rider takes one at a time; two readers serve all")
PHOTOGRAPHS_FROM: Final = Gate("photographs-from", By.ADDRESS, 16, "10 MB of disk each, and two readers serve all")

ROUTES: Final[dict[tuple[str, str], tuple[Limit, ...]]] = {
    ("POST", "/v1/sessions"): (STARTS_FROM, STARTS),
    ("POST", "/v1/scans"): (SCANS_FROM, SCANS),
    ("POST", "/v1/scans/number"): (NUMBERS_FROM, NUMBERS),
    ("POST", "/scan/number"): (NUMBERS_FROM, NUMBERS),
    ("POST", "/scan/photo"): (SCANS_FROM, SCANS),
    ("GET", "/v1/nearby"): (NEARBY_FROM,),
    ("GET", "/nearby"): (NEARBY_FROM,),
    ("POST", "/v1/scans/identify"): (SCANS_FROM, IDENTIFICATIONS),
    ("POST", "/v1/riders"): (GUESTS,),
    ("POST", "/v1/wallet/top-ups"): (TOP_UPS,),
    ("POST", "/wallet/top-ups"): (TOP_UPS,),
    ("POST", "/v1/wallet/refunds"): (REFUNDS,),
    ("POST", "/wallet/refunds"): (REFUNDS,),
    ("POST", "/v1/enrolments"): (ENROLMENTS,),
    ("POST", "/v1/enrolments/renewals"): (ENROLMENTS,),
    ("POST", "/v1/ops/sign-ins"): (SIGN_INS,),
    ("GET", "/v1/ops/visits/route"): (VAN_ROUTES,),
    ("GET", "/v1/riders/me/export"): (EXPORTS,),
    ("GET", "/v1/ops/audit/verification"): (VERIFICATIONS,),
    ("POST", "/v1/passkeys"): (PASSKEYS,),
    ("POST", "/v1/passkeys/sign-ins"): (PASSKEY_SIGN_INS,),
}
"""What else than ``REQUESTS`` is counted, by method and path, in the order in which it is checked."""

LABEL_PAGES: Final = "/L/"
LABEL_PAGE_LIMITS: Final = (SCANS_FROM,)  # the page says whether a label is genuine, so it is a scan
LABEL_START_LIMITS: Final = (STARTS,)  # its form is a Start

_IN_ENDPOINTS: Final = (DISPUTES, IDENTIFICATIONS_OF, CHARTS, REPORT_LOGS)
ALL_LIMITS: Final = tuple(
    dict.fromkeys((REQUESTS, *(limit for row in ROUTES.values() for limit in row), *_IN_ENDPOINTS))
)
