"""What can be wrong with a passkey; each problem says what to do next."""

from __future__ import annotations

from session_service.errors import ConflictError, NotFoundError, Problem


class PasskeysNotOfferedError(ConflictError):
    """This installation cannot have passkeys: browsers make them for https and a domain name, or for localhost."""

    type = "passkeys-not-offered"
    title = "There are no passkeys here"


class PasskeyRefusedError(Problem):
    """What the authenticator says does not prove anything: too old, said before, for another site, wrongly signed."""

    status = 400
    type = "passkey-refused"
    title = "The passkey was not accepted"


class UnknownPasskeyError(NotFoundError):
    """Nobody here has this passkey (any more). Extra: ``credential_id``, so that the browser can forget it."""

    type = "passkey-unknown"
    title = "Nobody here has this passkey"


class ClonedPasskeyError(ConflictError):
    """The authenticator's counter did not go up: there may be two of it (WebAuthn 3, 6.1.1)."""

    type = "passkey-cloned"
    title = "This passkey may have been copied"


class TooManyPasskeysError(ConflictError):
    """The rider has as many as one may have. Extra: ``limit``."""

    type = "too-many-passkeys"
    title = "There are enough passkeys"


class GuestLeftBehindError(ConflictError):
    """Another guest of this browser would be left with money or a debt. Extra: the wallet's figures."""

    type = "guest-left-behind"
    title = "Another guest in this browser has a wallet"
