from __future__ import annotations

from tests.session_service.ledger.app import Api


async def test_everybody_may_see_the_prices(api: Api) -> None:
    response = await api.get("/v1/tariffs")
    assert response.status_code == 200
    tariffs = response.json()["tariffs"]
    assert set(tariffs) == {"bike", "pod"}
    assert set(tariffs["bike"]) == {
        "currency",
        "unlock_fee_minor",
        "interval_s",
        "interval_price_minor",
        "free_s",
        "cap_minor",
        "cap_window_s",
        "max_session_s",
        "grace_s",
        "hold_minor",
    }
