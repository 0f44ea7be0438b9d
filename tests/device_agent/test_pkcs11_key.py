"""The report key on a token: made there, never leaves it, signs what the service takes. With SoftHSM2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pkcs11
import pytest
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

from broker.contract.envelope import open_sealed
from broker.contract.keys import key_id
from broker.contract.messages import Report
from device_agent import pkcs11_key
from device_agent.enrolment import Wish, enrol
from device_agent.errors import SettingsError, SignerError
from device_agent.keys import KeySigner, open_report_key
from device_agent.pkcs11_key import Pkcs11Key
from device_agent.settings import load
from tests.support.agent_cell import StubService
from tests.support.agent_token import CONF, MODULE, PIN, SoftToken
from tests.support.agent_world import DEVICE, World
from tests.support.cell import Cell

pytestmark = pytest.mark.server


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftToken:
    token = SoftToken(tmp_path / "token")
    monkeypatch.setenv(CONF, str(token.conf))
    token.initialise()
    pkcs11.lib(str(MODULE)).reinitialize()  # it reads the environment when it begins
    return token


def test_its_reports_are_taken_by_whoever_has_the_public_half(token: SoftToken) -> None:
    key = Pkcs11Key(token.uri(), make=True)
    signer = KeySigner(key)
    world = World()
    world.link_up()
    report = world.link.take_reports()[0]
    sealed = signer.sign(report)
    assert open_sealed(sealed, Report, {key_id(key.public_key): key.public_key}.get) == report
    key.close()


def test_the_key_is_made_on_the_token_and_does_not_leave_it(token: SoftToken) -> None:
    key = Pkcs11Key(token.uri(), make=True)
    private = key._key
    assert (private[Attribute.EXTRACTABLE], private[Attribute.NEVER_EXTRACTABLE], private[Attribute.LOCAL]) == (
        False,
        True,
        True,
    )
    with pytest.raises(pkcs11.AttributeSensitive):
        private[Attribute.VALUE]
    key.close()


def test_made_again_it_is_the_same_key(token: SoftToken) -> None:
    first, second = (Pkcs11Key(token.uri(), make=True) for _ in range(2))
    assert first.public_key == second.public_key == Pkcs11Key(token.uri()).public_key
    assert second._session is not None
    assert len(list(second._session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY}))) == 1


def test_a_key_that_could_be_copied_is_refused(token: SoftToken) -> None:
    with pkcs11.lib(str(MODULE)).get_token(token_label="unlatch").open(rw=True, user_pin=PIN) as session:
        curve = session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: pkcs11_key._P256}, local=True)
        curve.generate_keypair(
            label="report-key",
            store=True,
            mechanism=Mechanism.EC_KEY_PAIR_GEN,
            private_template={Attribute.EXTRACTABLE: True},
        )
    with pytest.raises(SignerError, match="can be copied"):
        Pkcs11Key(token.uri())


@pytest.mark.parametrize(
    ("place", "advice"),
    [
        ({"label": "other"}, "no such token"),
        ({"key": "other"}, "unlatch-agent enrol --pkcs11"),
        ({"module": Path("/usr/lib/none.so")}, "module-path"),
    ],
)
def test_what_is_not_there_is_named_with_what_to_do(token: SoftToken, place: dict[str, str], advice: str) -> None:
    with pytest.raises(SignerError, match=advice):
        Pkcs11Key(token.uri(**place))  # type: ignore[arg-type]


@pytest.mark.parametrize(("pin", "advice"), [("00000000", "PIN is wrong"), ("1", "PIN")])
def test_a_wrong_pin_is_named_with_its_file(token: SoftToken, pin: str, advice: str) -> None:
    token.pin_file.write_text(pin)
    with pytest.raises(SignerError, match=advice) as caught:
        Pkcs11Key(token.uri())
    assert "pin-source" in str(caught.value)


def test_a_pin_that_others_can_read_is_refused(token: SoftToken) -> None:
    token.pin_file.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        Pkcs11Key(token.uri())


def test_a_token_that_was_reset_is_opened_once_more_and_one_that_is_gone_is_an_error(token: SoftToken) -> None:
    key = Pkcs11Key(token.uri(), make=True)
    library = pkcs11.lib(str(MODULE))
    library.reinitialize()  # all sessions end, as when a token is put in again
    assert len(key.sign_es256(b"report")) == 64
    library.reinitialize()
    (token.folder / "tokens").rename(token.folder / "taken")
    with pytest.raises(SignerError, match="token"):
        key.sign_es256(b"report")
    (token.folder / "taken").rename(token.folder / "tokens")
    assert len(key.sign_es256(b"report")) == 64


def test_a_device_enrols_with_it_and_the_settings_find_it_again(token: SoftToken, tmp_path: Path) -> None:
    cell = Cell(tmp_path / "pki")
    with StubService(cell) as service:
        settings = load(
            enrol(Wish(url=service.url, device=DEVICE, claim="c", folder=tmp_path / "device", pkcs11=token.uri()))
        )
        assert service.report_key == open_report_key(settings).public_key
    assert not (tmp_path / "device" / "report-key.pem").exists()


def test_without_the_package_the_error_says_what_to_install(token: SoftToken) -> None:
    code = "import sys; sys.modules['pkcs11'] = None; import device_agent.pkcs11_key"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "SignerError: keys on tokens need python-pkcs11" in done.stderr
    assert token


def test_an_agent_with_a_key_in_a_file_does_not_load_it() -> None:
    code = "import sys, device_agent.program; sys.exit('pkcs11' in sys.modules or 'cryptography.x509' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
