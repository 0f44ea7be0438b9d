"""Signing keys as PEM text, and their names."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from broker.contract.jws import PrivateKey, PublicKey


def new_command_key() -> ed25519.Ed25519PrivateKey:
    """Make a key for commands and acknowledgements (EdDSA)."""
    return ed25519.Ed25519PrivateKey.generate()


def new_report_key() -> ec.EllipticCurvePrivateKey:
    """Make a key for reports and heartbeats (ES256)."""
    return ec.generate_private_key(ec.SECP256R1())


def key_id(key: PublicKey) -> str:
    """Return a key's name: the first 96 bits of SHA-256 over its public half (DER), base64url."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()[:12]).decode()


def private_pem(key: PrivateKey) -> str:
    """Return a private key as unencrypted PKCS#8 PEM; keep it in a file with mode 0600."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public_pem(key: PublicKey) -> str:
    """Return a public key as PEM (SubjectPublicKeyInfo)."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def load_private(pem: str) -> PrivateKey:
    """Read a private key.

    Raises:
        ValueError: it is no Ed25519 or P-256 key in PKCS#8 PEM.
    """
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    msg = "expected an Ed25519 or P-256 private key"
    raise ValueError(msg)


def load_public(pem: str) -> PublicKey:
    """Read a public key.

    Raises:
        ValueError: it is no Ed25519 or P-256 key in PEM.
    """
    key = serialization.load_pem_public_key(pem.encode())
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    msg = "expected an Ed25519 or P-256 public key"
    raise ValueError(msg)


def load_command_keys(pems: Mapping[str, str]) -> dict[str, PublicKey]:
    """Read the command keys of a configuration, all or none.

    Raises:
        ValueError: one is no Ed25519 key in PEM, or stands under another id than its own.
    """
    return {kid: _command_key(kid, pem) for kid, pem in pems.items()}


def _command_key(kid: str, pem: str) -> ed25519.Ed25519PublicKey:
    try:
        key = load_public(pem)
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error
    if not isinstance(key, ed25519.Ed25519PublicKey) or key_id(key) != kid:
        msg = f"{kid!r} is no Ed25519 key of that id"
        raise ValueError(msg)
    return key
