"""How the egress proxy's setting is read, where the proxy is found, and when its word counts."""

from __future__ import annotations

import threading
import time
from ipaddress import ip_address

import pytest

from deliveries.sending import proxy_address
from deliveries.sending.egress_health import (
    STRANGERS_BELIEVED_SECONDS,
    UNDECIDED_AT_MOST_SECONDS,
    EgressHealth,
    Fault,
)
from deliveries.sending.egress_proxy import EgressProxy, connect_request, parse_egress_proxy
from deliveries.sending.proxy_address import LocatedProxy
from subscriptions.guard.address_guard import IPAddress
from tests.workers import eventually


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://proxy.corp:3128", EgressProxy("proxy.corp", 3128)),
        ("http://proxy:3128/", EgressProxy("proxy", 3128)),
        ("http://10.0.0.9:80", EgressProxy("10.0.0.9", 80)),
        ("http://[fd00::9]:4750", EgressProxy("fd00::9", 4750)),
        ("http://user:pa%3Ass%2F%C3%A9@p:1", EgressProxy("p", 1, "user:pa:ss/é")),
        ("http://token@p:1", EgressProxy("p", 1, "token:")),
    ],
)
def test_a_proxy_is_read_from_its_url(text: str, proxy: EgressProxy) -> None:
    assert parse_egress_proxy(text) == proxy


@pytest.mark.parametrize(
    "text",
    [
        "proxy:3128",
        "http://user:hidden@proxy",
        "https://user:hidden@proxy:443",
        "socks5://user:hidden@proxy:1080",
        "http://user:hidden@proxy:99999",
        "http://user:hidden@proxy:x",
        "http://user:hidden@proxy:0",
        "http://user:hidden@:3128",
        "http://user:hidden@proxy:3128/path",
        "http://user:hidden@proxy:3128?x",
        "http://user:hidden@proxy:3128#x",
        "http://us%3Aer:hidden@proxy:3128",
        "http://user:hidden%0D%0AX@proxy:3128",
        "http://user:hiddén@proxy:3128",
        "http://user:hidden pass@proxy:3128",
        "http://user:hidden@[proxy:3128",
    ],
)
def test_anything_else_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse_egress_proxy(text)
    assert "hidd" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_credentials_are_not_in_what_a_log_would_show() -> None:
    proxy = parse_egress_proxy("http://user:hidden@proxy:3128")
    assert "hidden" not in f"{proxy} {proxy!r}"
    assert b"dXNlcjpoaWRkZW4=" in connect_request(proxy, ip_address("8.8.8.8"), 443)


class TestWhereTheProxyIs:
    def test_a_name_is_looked_up_again_after_a_while(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(proxy_address, "REFRESH_SECONDS", 0.05)
        answers = ["10.0.0.1", "10.0.0.2"]

        def look_up(_host: str, _port: int) -> list[IPAddress]:
            return [ip_address(answers.pop(0) if len(answers) > 1 else answers[0])]

        located = LocatedProxy(EgressProxy("proxy.test", 1), look_up=look_up)
        assert str(located.address) == "10.0.0.1"
        eventually(lambda: str(located.address) == "10.0.0.2")

    def test_what_was_known_stays_while_the_name_cannot_be_looked_up(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(proxy_address, "REFRESH_SECONDS", 0.05)
        asked = threading.Event()

        def look_up(_host: str, _port: int) -> list[IPAddress]:
            if asked.is_set():
                raise OSError("the name servers are away")
            asked.set()
            return [ip_address("10.0.0.1")]

        located = LocatedProxy(EgressProxy("proxy.test", 1), look_up=look_up)
        for _ in range(4):
            time.sleep(0.03)
            assert str(located.address) == "10.0.0.1"

    def test_a_look_up_that_hangs_holds_nobody_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(proxy_address, "FIRST_LOOKUP_SECONDS", 0.05)
        released = threading.Event()

        def look_up(_host: str, _port: int) -> list[IPAddress]:
            released.wait(10)
            return [ip_address("10.0.0.1")]

        located = LocatedProxy(EgressProxy("proxy.test", 1), look_up=look_up)
        began_at = time.monotonic()
        assert located.address is None
        assert time.monotonic() - began_at < 3.0
        released.set()
        eventually(lambda: str(located.address) == "10.0.0.1")

    def test_an_address_that_failed_goes_to_the_end_of_the_line(self) -> None:
        addresses = [ip_address(f"10.0.0.{number}") for number in (1, 2)]
        located = LocatedProxy(EgressProxy("proxy.test", 1), look_up=lambda *_: addresses)
        located.note_failure(addresses[0])
        located.note_failure(addresses[0])  # told twice, of two requests
        assert located.address == addresses[1]

    def test_an_address_stands_for_itself(self) -> None:
        assert str(LocatedProxy(EgressProxy("fd00::9", 1)).address) == "fd00::9"


class TestWhoseFaultARefusalIs:
    """What a proxy says of a receiver, judged on a clock of our own."""

    def judge(self, health: EgressHealth, now: float, failed_at: float = 10.0) -> Fault:
        return health.judge("192.0.2.1", failed_at=failed_at, now=now, is_proxys_word=True)

    def test_it_is_theirs_once_another_receiver_has_answered(self) -> None:
        health = EgressHealth(now=0.0)
        health.note_answer("192.0.2.2", 443, now=10.5)
        assert self.judge(health, 10.5) is Fault.THEIRS

    def test_it_waits_for_the_probe_where_others_answered_before(self) -> None:
        health = EgressHealth(now=0.0)
        health.note_answer("192.0.2.2", 443, now=5.0)
        assert self.judge(health, 10.0) is Fault.UNDECIDED
        assert health.next_probe(now=10.0) == [("192.0.2.2", 443)]
        health.note_probe(None, now=11.0)
        assert self.judge(health, 11.0) is Fault.OURS

    def test_a_probe_that_reaches_somebody_proves_the_proxy_right(self) -> None:
        health = EgressHealth(now=0.0)
        health.note_answer("192.0.2.2", 443, now=5.0)
        health.next_probe(now=10.0)
        health.note_probe(("192.0.2.2", 443), now=11.0)
        assert self.judge(health, 11.0) is Fault.THEIRS

    @pytest.mark.parametrize("has_answered_itself", [False, True])
    def test_a_proxy_that_reaches_nobody_else_is_ours_for_an_hour(
        self, has_answered_itself: bool
    ) -> None:
        health = EgressHealth(now=0.0)
        if has_answered_itself:
            health.note_answer("192.0.2.1", 443, now=1.0)
        assert self.judge(health, 10.1) is Fault.UNDECIDED
        assert self.judge(health, 11.1) is Fault.OURS
        late = STRANGERS_BELIEVED_SECONDS + UNDECIDED_AT_MOST_SECONDS
        assert self.judge(health, late + 1, failed_at=late - 1) is Fault.THEIRS
