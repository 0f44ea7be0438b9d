"""A report key in a secure element, TPM or token, through PKCS#11 (the optional package python-pkcs11)."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

from device_agent import pkcs11_uri
from device_agent.errors import SignerError
from device_agent.keys import read_secret
from device_agent.pkcs11_uri import Pkcs11Uri

try:
    import pkcs11
    from pkcs11 import (
        Attribute,
        Key,
        KeyType,
        Mechanism,
        MechanismFlag,
        ObjectClass,
        PKCS11Error,
        Session,
        SignMixin,
        Token,
    )
except ImportError as error:
    _MISSING = "keys on tokens need python-pkcs11; run: pip install 'unlatch[agent,pkcs11]', or use report_key_file"
    raise SignerError(_MISSING) from error

_P256: Final = bytes.fromhex("06082a8648ce3d030107")  # the curve's name as PKCS#11 wants it: its OID in DER
_POINT_BYTES: Final = 65  # an uncompressed point: 4, x, y
_SIGNATURE_BYTES: Final = 64
_ADVICE: Final = {
    "PinIncorrect": "the PIN is wrong; correct the file of pin-source before tries run out",
    "PinInvalid": "the PIN is wrong; correct the file of pin-source before tries run out",
    "PinLenRange": "the PIN has the wrong length; correct the file of pin-source",
    "PinLocked": "the PIN is locked after too many tries; unlock it with the token's own tool",
    "NoSuchToken": "there is no such token; look for it with: pkcs11-tool --list-tokens, and correct token=",
    "MultipleTokensReturned": "several tokens have this label; give them different ones",
    "NoSuchKey": "there is no such key on the token; correct object=, or make it with: unlatch-agent enrol --pkcs11",
    "MultipleObjectsReturned": "several keys have this label; remove all but one",
    "DeviceRemoved": "the token was taken out; put it back",
    "TokenNotPresent": "the token is not there; put it back",
    "UserPinNotInitialized": "the token has no user PIN yet; set one with the token's own tool",
}


class Pkcs11Key:
    """A ``ports.ReportKey`` that signs on its token. Use it from one thread."""

    def __init__(self, uri: str, *, make: bool = False) -> None:
        """Open the token; with ``make`` make the key there if there is none, such that it can never leave.

        Raises:
            SignerError: it cannot be used; the text says what to do.
            SettingsError: the PIN cannot be read, or others can read it.
        """
        self._uri = pkcs11_uri.parse(uri)
        self._session: Session | None = None
        self._key = self._open(make=make)
        self.public_key = self._read_public_key()

    @property
    def signing_key(self) -> Pkcs11Key:
        """See ``ports.ReportKey``."""
        return self

    def sign_es256(self, signed: bytes) -> bytes:
        """See ``jws.KeyElsewhere``. A token that has lost our session, after a reset say, is opened once more.

        Raises:
            SignerError: it does not sign.
        """
        digest = hashlib.sha256(signed).digest()
        try:
            signature = self._sign(digest)
        except PKCS11Error:
            self._key = self._open(make=False)
            with _explained(self._uri):
                signature = self._sign(digest)
        if len(signature) != _SIGNATURE_BYTES:
            msg = f"{self._uri.name} on {self._uri.token} signed with {len(signature)} bytes; is it a P-256 key?"
            raise SignerError(msg)
        return signature

    def close(self) -> None:
        """End the session; also so that another may begin."""
        if self._session is not None:
            with contextlib.suppress(PKCS11Error):  # it is gone with its token
                self._session.close()
        self._session = None

    def _sign(self, digest: bytes) -> bytes:
        signer: SignMixin = self._key  # type: ignore[assignment]  # private keys are given this by their type
        return bytes(signer.sign(digest, mechanism=Mechanism.ECDSA))

    def _open(self, *, make: bool) -> Key:
        self.close()
        pin = read_secret(self._uri.pin_file).strip()
        with _explained(self._uri):
            self._session = _sign_in(_find_token(self._uri), pin, make=make)
            if make and not list(self._session.get_objects(_wanted(ObjectClass.PRIVATE_KEY, self._uri))):
                _make(self._session, self._uri)
            key = self._session.get_key(ObjectClass.PRIVATE_KEY, KeyType.EC, self._uri.name)
            self._refuse_copyable(key)
            return key

    def _refuse_copyable(self, key: Key) -> None:
        if key[Attribute.EXTRACTABLE] or not key[Attribute.SENSITIVE]:
            self.close()
            msg = f"{self._uri.name} on {self._uri.token} can be copied from the token; remove it and enrol again"
            raise SignerError(msg)

    def _read_public_key(self) -> EllipticCurvePublicKey:
        with _explained(self._uri):
            if self._session is None:
                raise pkcs11.SessionClosed
            found = self._session.get_key(ObjectClass.PUBLIC_KEY, KeyType.EC, self._uri.name)
            point = bytes(found[Attribute.EC_POINT])[-_POINT_BYTES:]  # in DER, before it are its type and length
            try:
                return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), point)
            except ValueError as error:
                msg = f"{self._uri.name} on {self._uri.token} is no P-256 key; remove it and enrol again"
                raise SignerError(msg) from error


def _find_token(uri: Pkcs11Uri) -> Token:
    library = pkcs11.lib(str(uri.module))
    try:
        return library.get_token(token_label=uri.token)
    except PKCS11Error:
        library.reinitialize()  # libraries look for tokens when they begin; it may have been put in, or back, since
        return library.get_token(token_label=uri.token)


def _sign_in(token: Token, pin: str, *, make: bool) -> Session:
    try:
        return token.open(rw=make, user_pin=pin)
    except pkcs11.UserAlreadyLoggedIn:  # a program signs in once for all its sessions
        return token.open(rw=make)


def _wanted(kind: ObjectClass, uri: Pkcs11Uri) -> dict[Attribute, object]:
    return {Attribute.CLASS: kind, Attribute.LABEL: uri.name}


def _make(session: Session, uri: Pkcs11Uri) -> None:
    curve = session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: _P256}, local=True)
    curve.generate_keypair(
        label=uri.name,
        store=True,
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        mechanism=Mechanism.EC_KEY_PAIR_GEN,
        private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
    )


@contextlib.contextmanager
def _explained(uri: Pkcs11Uri) -> Iterator[None]:
    """Turn the library's errors into ours, with what to do."""
    try:
        yield
    except PKCS11Error as error:
        name = type(error).__name__
        advice = _ADVICE.get(name, f"{name} {error}".strip() + "; check the token and module-path")
        msg = f"key {uri.name} on token {uri.token} ({uri.module}): {advice}"
        raise SignerError(msg) from error
