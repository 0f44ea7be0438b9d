"""A PKCS#11 token in software, SoftHSM2 from Debian, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

MODULE: Final = Path("/usr/lib/softhsm/libsofthsm2.so")  # Debian keeps a link there on every architecture
PIN: Final = "93275501"
CONF: Final = "SOFTHSM2_CONF"


class SoftToken:
    """One token, labelled ``unlatch``. ``conf`` must stand in the environment of whoever uses it (``CONF``)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tokens").mkdir(parents=True)
        self.conf = folder / "softhsm2.conf"
        self.conf.write_text(
            f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        self.pin_file = folder / "pin"
        self.pin_file.touch(mode=0o600)
        self.pin_file.write_text(f"{PIN}\n")

    def initialise(self) -> None:
        """Make the token, as somebody does who sets a device up."""
        words = ["softhsm2-util", "--init-token", "--free", "--label", "unlatch", "--pin", PIN, "--so-pin", PIN]
        environment = os.environ | {CONF: str(self.conf)}
        subprocess.run(words, env=environment, check=True, capture_output=True)

    def uri(self, *, label: str = "unlatch", key: str = "report-key", module: Path = MODULE) -> str:
        """Return where a key is."""
        return f"pkcs11:token={label};object={key}?module-path={module}&pin-source=file:{self.pin_file}"
