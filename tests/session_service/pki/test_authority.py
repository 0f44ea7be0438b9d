from __future__ import annotations

import ipaddress
from base64 import b64encode

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from session_service.pki.authority import Authority, Identity, RequestError, Revoked, milliseconds

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000
DEVICE = "0123456789"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.new(NOW_MS)


def csr(key: CertificateIssuerPrivateKeyTypes, name: str = DEVICE, *, wants_authority: bool = False) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    if wants_authority:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("broker")]), critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM).decode()


def name_of(certificate: x509.Certificate) -> str:
    (attribute,) = certificate.subject
    return str(attribute.value)


def uses(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def is_authority(certificate: x509.Certificate) -> bool:
    return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def life_days(certificate: x509.Certificate) -> float:
    return (milliseconds(certificate.not_valid_after_utc) - NOW_MS) / DAY_MS


def test_an_authority_is_good_for_ten_years_and_for_no_other_authority(authority: Authority) -> None:
    certificate = authority.identity.certificate
    certificate.verify_directly_issued_by(certificate)
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    assert life_days(certificate) == 3_650
    assert isinstance(authority.identity.key.curve, ec.SECP256R1)


def test_two_authorities_have_two_names() -> None:
    assert name_of(Authority.new(NOW_MS).identity.certificate) != name_of(Authority.new(NOW_MS).identity.certificate)


def test_an_identity_is_what_was_written(authority: Authority) -> None:
    again = Identity.of_pem(authority.ca_pem, authority.identity.key_pem)
    assert again.certificate == authority.identity.certificate
    with pytest.raises(ValueError, match="not the certificate's"):
        Identity.of_pem(authority.ca_pem, Authority.new(NOW_MS).identity.key_pem)


def test_the_brokers_is_for_its_names_and_addresses(authority: Authority) -> None:
    certificate = authority.issue_broker(["broker.example.org", "127.0.0.1", "::1"], NOW_MS).certificate
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["broker.example.org"]
    addresses = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]
    assert names.get_values_for_type(x509.IPAddress) == addresses
    assert uses(certificate) == [ExtendedKeyUsageOID.SERVER_AUTH]
    certificate.verify_directly_issued_by(authority.identity.certificate)


@pytest.mark.parametrize("hosts", [[], [""], ["a b"], ["*"], ["a\x00b"], ["x" * 64], ["a..b"], ["ä.example.org"]])
def test_what_is_no_host_gets_none(authority: Authority, hosts: list[str]) -> None:
    with pytest.raises(ValueError, match="name"):
        authority.issue_broker(hosts, NOW_MS)


def test_the_services_is_for_a_client_by_that_name(authority: Authority) -> None:
    certificate = authority.issue_service(NOW_MS).certificate
    assert (name_of(certificate), uses(certificate)) == ("service", [ExtendedKeyUsageOID.CLIENT_AUTH])


def test_a_device_gets_the_name_that_the_service_gives_it(authority: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = authority.issue_device(csr(key, "service"), DEVICE, NOW_MS)
    certificate.verify_directly_issued_by(authority.identity.certificate)
    assert (name_of(certificate), certificate.public_key()) == (DEVICE, key.public_key())
    assert (uses(certificate), life_days(certificate)) == ([ExtendedKeyUsageOID.CLIENT_AUTH], 90)


def test_no_extension_is_taken_from_a_request(authority: Authority) -> None:
    asked = csr(ec.generate_private_key(ec.SECP256R1()), wants_authority=True)
    certificate = authority.issue_device(asked, DEVICE, NOW_MS)
    assert not is_authority(certificate)
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_serial_numbers_are_fresh_and_long(authority: Authority) -> None:
    asked = csr(ec.generate_private_key(ec.SECP256R1()))
    serials = {authority.issue_device(asked, DEVICE, NOW_MS).serial_number for _ in range(20)}
    assert len(serials) == 20
    assert max(serials).bit_length() > 128


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP256K1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65_537, 2_048),
    ],
    ids=["P-384", "secp256k1", "Ed25519", "RSA"],
)
def test_a_key_of_another_kind_is_refused(authority: Authority, key: CertificateIssuerPrivateKeyTypes) -> None:
    with pytest.raises(RequestError, match="P-256"):
        authority.issue_device(csr(key), DEVICE, NOW_MS)


def test_a_request_for_somebody_elses_key_is_refused(authority: Authority) -> None:
    """The public key is exchanged for another, as one would who wants a certificate for a key that is not theirs."""
    theirs, signer = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    der = x509.load_pem_x509_csr(csr(signer).encode()).public_bytes(Encoding.DER)
    forged = der.replace(point(signer), point(theirs))
    assert forged != der
    pem = x509.load_der_x509_csr(forged).public_bytes(Encoding.PEM).decode()
    with pytest.raises(RequestError, match="own key"):
        authority.issue_device(pem, DEVICE, NOW_MS)


@pytest.mark.parametrize(
    "text", ["", "x", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"]
)
def test_what_is_no_request_is_refused(authority: Authority, text: str) -> None:
    with pytest.raises(RequestError, match="no certificate signing request"):
        authority.issue_device(text, DEVICE, NOW_MS)


def test_a_request_of_a_version_that_there_is_not_is_refused(authority: Authority) -> None:
    der = x509.load_pem_x509_csr(csr(ec.generate_private_key(ec.SECP256R1())).encode()).public_bytes(Encoding.DER)
    strange = der.replace(bytes([2, 1, 0]), bytes([2, 1, 85]), 1)
    pem = f"-----BEGIN CERTIFICATE REQUEST-----\n{b64encode(strange).decode()}\n-----END CERTIFICATE REQUEST-----\n"
    with pytest.raises(RequestError, match="no certificate signing request"):
        authority.issue_device(pem, DEVICE, NOW_MS)


def test_a_certificate_can_be_made_that_has_ended(authority: Authority) -> None:
    asked = csr(ec.generate_private_key(ec.SECP256R1()))
    certificate = authority.issue_device(asked, DEVICE, NOW_MS - 91 * DAY_MS)
    assert milliseconds(certificate.not_valid_after_utc) < NOW_MS


def test_the_list_of_the_revoked_is_signed_and_says_when_the_next_comes(authority: Authority) -> None:
    pem = authority.revocation_list([Revoked(2**100 + 1, NOW_MS - DAY_MS)], NOW_MS)
    crl = x509.load_pem_x509_crl(pem.encode())
    assert crl.is_signature_valid(authority.identity.key.public_key())
    assert not crl.is_signature_valid(Authority.new(NOW_MS).identity.key.public_key())
    assert [entry.serial_number for entry in crl] == [2**100 + 1]
    assert crl.next_update_utc is not None
    assert milliseconds(crl.next_update_utc) == NOW_MS + 30 * DAY_MS


def test_another_cells_certificate_is_not_ours(authority: Authority) -> None:
    foreign = Authority.new(NOW_MS).issue_service(NOW_MS).certificate
    with pytest.raises((ValueError, InvalidSignature)):
        foreign.verify_directly_issued_by(authority.identity.certificate)


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    numbers = key.public_key().public_numbers()
    return numbers.x.to_bytes(32) + numbers.y.to_bytes(32)
