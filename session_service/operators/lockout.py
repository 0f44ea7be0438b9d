"""How long somebody waits who has failed to sign in. Pure.

Failures are counted under three keys: the name at this place, the place, and the name. Beyond what honest people need,
each further failure doubles the wait. Nobody can lock a colleague out with it for long:

- the long wait is that of a name *at one place*, so who guesses elsewhere does not lengthen it;
- the wait of a name at all places is half a minute at the most, and is not asked of a place where this operator has
  signed in before (OWASP's "device cookie", by address);
- the wait of a place, which colleagues behind one router share, is a minute at the most;
- a try that comes too early is refused without being looked at, and lengthens nothing;
- after an hour without a failure all is forgotten, and who signs in takes the own failures back everywhere.

A name that does not exist is counted in the same way, so that waiting tells nothing either.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from dataclasses import dataclass
from typing import Final, NamedTuple

FORGET_MS: Final = 3_600_000  # an hour: who forgot the password has found it or asked a colleague by then
KNOWN_PLACE_MS: Final = 90 * 86_400_000  # a season: people come back from leave to the same desk
FIRST_WAIT_MS: Final = 1_000
KEY_CHARS: Final = 32  # 128 bits
IPV6_SITE_BITS: Final = 64  # one household or office has all addresses of such a network

_PURPOSE: Final = b"unlatch operator lock-out 1\n"


@dataclass(frozen=True, slots=True)
class Limit:
    """``free`` failures cost nothing; then the wait begins at a second, doubles, and ends at ``longest_ms``."""

    free: int
    longest_ms: int

    def wait_ms(self, failures: int) -> int:
        """Return how long to wait after so many failures."""
        beyond = failures - self.free
        if beyond <= 0:
            return 0
        return min(FIRST_WAIT_MS << min(beyond - 1, 30), self.longest_ms)


NAME_HERE: Final = Limit(free=5, longest_ms=300_000)  # 5 minutes: 288 guesses a day
PLACE: Final = Limit(free=20, longest_ms=60_000)  # a Monday morning in an office
NAME: Final = Limit(free=20, longest_ms=30_000)  # 2,880 guesses a day from all over the world


class Keys(NamedTuple):
    """The keys of one try, in the order in which their rows are locked."""

    place: str
    name: str
    name_here: str

    def limits(self, *, known_place: bool) -> dict[str, Limit]:
        """Return the limits that count for the try."""
        found = {self.place: PLACE, self.name_here: NAME_HERE}
        return found if known_place else {**found, self.name: NAME}

    def all_limits(self) -> dict[str, Limit]:
        """Return the limit of each key."""
        return {self.place: PLACE, self.name: NAME, self.name_here: NAME_HERE}


def place_of(secret: bytes, address: str | None) -> str:
    """Return a keyed digest of where a request comes from: the database shall not list where people work."""
    return _digest(secret, "place", _site(address or ""))


def keys_of(secret: bytes, name: str, place: str) -> Keys:
    """Return the keys of a try; they are keyed digests, because a password is often typed into the wrong field."""
    return Keys(place, _digest(secret, "name", name), _digest(secret, "name here", name, place))


def _site(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(ipaddress.ip_network((found.packed, IPV6_SITE_BITS), strict=False))


def _digest(secret: bytes, *texts: str) -> str:
    told_apart = b"".join(f"{len(text)}:{text}".encode(errors="surrogatepass") for text in texts)
    return hmac.new(secret, _PURPOSE + told_apart, hashlib.sha256).hexdigest()[:KEY_CHARS]
