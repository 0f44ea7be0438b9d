"""What pages take from npm: the table of it, and the program by which ``deploy/setup`` puts it into ``vendor/``.

Few files of the packages are ever served, so these alone are copied. The service knows the folder ``vendor/`` and no
npm; a wheel brings the folder along (``artifacts`` in pyproject.toml). Scripts are the packages' own bundles of one
file each, for the classic ``<script>``: a module of several would look for its parts beside it, under its own hash.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
NODE_MODULES: Final = HERE / "node_modules"
VENDOR: Final = HERE / "vendor"

SERVED: Final = {
    "zxing-reader.js": "zxing-wasm/dist/iife/reader/index.js",  # global ZXingWASM; give it the address of the next
    "zxing-reader.wasm": "zxing-wasm/dist/reader/zxing_reader.wasm",
    "leaflet.js": "leaflet/dist/leaflet.js",  # global L
    "leaflet.css": "leaflet/dist/leaflet.css",  # its own addresses of pictures lead nowhere: give L.icon these
    "leaflet-marker.png": "leaflet/dist/images/marker-icon.png",
    "leaflet-marker-2x.png": "leaflet/dist/images/marker-icon-2x.png",
    "leaflet-marker-shadow.png": "leaflet/dist/images/marker-shadow.png",
}
"""Public name: where it is in ``node_modules``."""

LICENCES: Final = {
    "zxing-wasm-LICENSE.txt": "zxing-wasm/LICENSE",
    "leaflet-LICENSE.txt": "leaflet/LICENSE",
}
"""Go with the files wherever these go, as their licences ask."""


def copy(node_modules: Path = NODE_MODULES, vendor: Path = VENDOR) -> None:
    """Make the folder ``vendor`` anew from what npm has installed.

    Raises:
        OSError: a file is not there, because a package has another version or was not installed.
    """
    shutil.rmtree(vendor, ignore_errors=True)
    vendor.mkdir(parents=True)
    for name, source in {**SERVED, **LICENCES}.items():
        shutil.copyfile(node_modules / source, vendor / name)


if __name__ == "__main__":
    try:
        copy()
    except OSError as error:
        sys.exit(f"vendor_files: {error}; compare SERVED in {__file__} with the package")
