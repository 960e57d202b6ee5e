import time

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.service.conftest import Service

from equipoise_service.accounts.principals import Principal, Principals, Scope
from equipoise_service.errors import Forbidden, Unauthenticated
from equipoise_service.ofrep.tickets import PERIOD_SECONDS, make_ticket, open_ticket

NOW = 1_780_000_000.0


@pytest.fixture
def principals(service: Service) -> Principals:
    held: Principals = service.client.app.state.principals  # type: ignore[attr-defined]
    return held


def holder(service: Service, principals: Principals, *scopes: Scope) -> Principal:
    public_id = service.key(*scopes)["Authorization"].split("_")[1]
    return principals._by_id[public_id]


def test_a_ticket_opens_for_one_to_two_periods(service: Service, principals: Principals) -> None:
    principal = holder(service, principals, Scope.EVALUATE)
    begin = NOW - NOW % PERIOD_SECONDS
    ticket = make_ticket(principal, begin + 5)
    assert make_ticket(principal, begin + PERIOD_SECONDS - 1) == ticket
    assert make_ticket(principal, begin + PERIOD_SECONDS) != ticket
    for later in (5, PERIOD_SECONDS, 2 * PERIOD_SECONDS - 1):
        assert open_ticket(principals, ticket, begin + later) == principal
    for wrong in (-1, 2 * PERIOD_SECONDS):
        with pytest.raises(Unauthenticated):
            open_ticket(principals, ticket, begin + wrong)


def test_a_ticket_of_another_key_period_or_secret_is_refused(
    service: Service, principals: Principals
) -> None:
    one, other = (holder(service, principals, Scope.EVALUATE) for _ in range(2))
    ticket = make_ticket(one, NOW)
    public_id, period, mac = ticket.split(".")
    forged = [
        f"{other.public_id}.{period}.{mac}",
        f"{public_id}.{int(period) + 1}.{mac}",
        f"{public_id}.0{period}.{mac}",
        f"{public_id}.{period}.{'0' * len(mac)}",
        f"{public_id}.{period}.{mac[:-1]}",
        f"{public_id}.{period}.",
        f"{public_id}.{period}",
    ]
    for text in forged:
        with pytest.raises(Unauthenticated):
            open_ticket(principals, text, NOW)


def test_a_ticket_ends_with_its_key(service: Service, principals: Principals) -> None:
    admin = service.key()
    principal = holder(service, principals, Scope.EVALUATE)
    ticket = make_ticket(principal, time.time())
    assert open_ticket(principals, ticket, time.time()) == principal
    assert service.client.post(f"/v1/keys/{principal.public_id}/revoke", headers=admin).status_code == 200
    with pytest.raises(Unauthenticated):
        open_ticket(principals, ticket, time.time())


def test_a_ticket_of_a_key_that_may_not_evaluate_is_forbidden(
    service: Service, principals: Principals
) -> None:
    principal = holder(service, principals, Scope.INGEST)
    with pytest.raises(Forbidden):
        open_ticket(principals, make_ticket(principal, NOW), NOW)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(max_size=300) | st.from_regex(r"\A[0-9a-f]{1,16}\.[0-9]{1,20}\.[^.]{0,64}\Z"))
def test_no_text_breaks_it(principals: Principals, text: str) -> None:
    with pytest.raises(Unauthenticated):
        open_ticket(principals, text, NOW)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(max_size=64))
def test_no_text_is_a_mac(service: Service, principals: Principals, text: str) -> None:
    (principal, *_) = principals._by_id.values()
    ticket = make_ticket(principal, NOW)
    assume(text != ticket.split(".")[2])
    with pytest.raises(Unauthenticated):
        open_ticket(principals, f"{principal.public_id}.{int(NOW // PERIOD_SECONDS)}.{text}", NOW)
