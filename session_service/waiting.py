"""How long a request waits: ``Prefer: wait=N`` (RFC 7240)."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import Header

MAX_WAIT_S: Final = 30.0  # proxies give up after a minute
DEFAULT_WAIT_S: Final = 0.0

_WAIT: Final = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,4})\"?(?:$|[,;\s])")


Prefer = Annotated[str | None, Header()]


def wait_s(prefer: str | None) -> float:
    """Return the seconds that the client is ready to wait for an outcome, 0 to 30. Other preferences are ignored."""
    found = _WAIT.search(prefer or "")
    return min(MAX_WAIT_S, float(found.group(1))) if found else DEFAULT_WAIT_S
