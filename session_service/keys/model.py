"""Table of the configurations."""

from __future__ import annotations

from sqlmodel import Field, SQLModel

from session_service.database import big


class DeviceConfig(SQLModel, table=True):
    """One configuration of one device. The one of the greatest revision is desired; heartbeats say which is in force.

    ``keyring`` is the change of the keyring that led to it, ``key_ids`` the keys that it lists, in alphabetical order
    with blanks between. Revision 0 is what the device was set up with.
    """

    __tablename__ = "device_config"

    device_id: str = Field(primary_key=True, foreign_key="device.id", max_length=10)
    revision: int = big(primary_key=True)
    keyring: int = big()
    key_ids: str = Field(max_length=80)
    made_at_ms: int = big()
