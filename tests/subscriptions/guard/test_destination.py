"""How a URL is taken apart, and what is refused; `test_parsers_agree` holds it against others."""

from __future__ import annotations

import time
from ipaddress import ip_address

import pytest

from subscriptions.guard.address_guard import Destination, UrlRefused, parse_destination


def refusal_code(url: str, *, https_only: bool = False) -> str:
    with pytest.raises(UrlRefused) as caught:
        parse_destination(url, https_only=https_only)
    assert str(caught.value).endswith(".")
    return caught.value.code


class TestNormalForm:
    def test_has_all_that_a_transport_uses(self) -> None:
        assert parse_destination("HTTPS://Hooks.Example.COM:8443/a/b?c=d#e") == Destination(
            url="https://hooks.example.com:8443/a/b?c=d",
            scheme="https",
            host="hooks.example.com",
            port=8443,
            target="/a/b?c=d",
            address=None,
            is_internal_name=False,
        )

    @pytest.mark.parametrize(
        ("url", "normal"),
        [
            ("http://example.com", "http://example.com/"),
            ("http://example.com:80/", "http://example.com/"),
            ("https://example.com:443", "https://example.com/"),
            ("http://example.com:443/", "http://example.com:443/"),
            ("http://example.com./", "http://example.com/"),
            ("http://example.com?a=b", "http://example.com/?a=b"),
            ("http://example.com/?", "http://example.com/"),
            ("http://example.com/??", "http://example.com/??"),
            ("http://example.com/a#b@c", "http://example.com/a"),
            ("http://example.com#top", "http://example.com/"),
            ("http://example.com/a@b:c", "http://example.com/a@b:c"),
            ("http://example.com/a/./b/../c/..", "http://example.com/a/"),
            ("http://example.com/%2e%2E/a/%2e", "http://example.com/a/"),
            ("http://example.com/../..//x", "http://example.com//x"),
            ("http://example.com/%7euser/%41%2f%3f", "http://example.com/~user/A%2F%3F"),
            ("http://example.com/é/日本", "http://example.com/%C3%A9/%E6%97%A5%E6%9C%AC"),
            ("http://example.com/a|b?q[]=<{x}>", "http://example.com/a%7Cb?q%5B%5D=%3C%7Bx%7D%3E"),
            ("http://bücher.example/", "http://xn--bcher-kva.example/"),
            ("http://BÜCHER。example。/", "http://xn--bcher-kva.example/"),
            ("http://faß.example/", "http://xn--fa-hia.example/"),
            ("http://XN--BCHER-KVA.example/", "http://xn--bcher-kva.example/"),
            ("http://[2606:4700:0:0::1111]:8080/", "http://[2606:4700::1111]:8080/"),
            ("http://[2606:4700::ABCD]/", "http://[2606:4700::abcd]/"),
            ("http://[::ffff:8.8.8.8]/", "http://8.8.8.8/"),
            ("http://[::FFFF:808:808]/", "http://8.8.8.8/"),
        ],
    )
    def test_is_one_spelling_for_what_means_the_same(self, url: str, normal: str) -> None:
        assert parse_destination(url).url == normal

    @pytest.mark.parametrize(
        ("url", "host_header"),
        [
            ("https://example.com/", "example.com"),
            ("http://example.com:443/", "example.com:443"),
            ("http://8.8.8.8:8080/", "8.8.8.8:8080"),
            ("https://[2606:4700::1111]/", "[2606:4700::1111]"),
            ("https://[2606:4700::1111]:8443/", "[2606:4700::1111]:8443"),
        ],
    )
    def test_gives_the_host_header(self, url: str, host_header: str) -> None:
        assert parse_destination(url).host_header == host_header

    def test_gives_the_address_of_an_address_literal(self) -> None:
        assert parse_destination("http://8.8.8.8/").address == ip_address("8.8.8.8")
        literal = parse_destination("http://[2606:4700::1111]/")
        assert (literal.host, literal.address) == ("2606:4700::1111", ip_address(literal.host))


INTERNAL = """
    localhost db my-redis foo.localhost printer.local api.default.svc.cluster.local api.default.svc
    metadata.google.internal host.docker.internal router.home.arpa nas.lan wiki.corp wiki.intranet
    home.arpa nas.home localhost.localdomain web.service.consul default.service.arpa x.onion
    localhost6.localdomain6 a.mail a.private a.intra a.docker a.alt LOCALHOST.
"""


@pytest.mark.parametrize("host", INTERNAL.split())
def test_a_name_that_only_means_something_inside_is_marked(host: str) -> None:
    assert parse_destination(f"http://{host}/").is_internal_name


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "notlocal.com",
        "local.example.com",
        "hook.test",
        "mylocal",
        "a.mylan",
        "8.8.8.8",
    ],
)
def test_other_names_are_not(host: str) -> None:
    assert parse_destination(f"http://{host}/").is_internal_name == (host == "mylocal")


# What is refused, by code. Whole URLs, as far as they can be told apart by white space.
REFUSED_URLS = {
    "scheme": "example.com //example.com/ ftp://a.com/ javascript:alert(1) localhost:8000/ "
    "://a.com httpss://a.com/ file:///etc/passwd data:text/plain,x gopher://a.com/",
    "ambiguous": "http:a.com http:/a.com/ http:///a.com/ http:////a http:// http://?a http://#a "
    "http://a.com\\@b.com/ http://a.com\\b http://a.com/\\ http://a.com#@b.com/ "
    "http://a.com?@b.com/ http://a.com?x#@b http://a.com/% http://a.com/%2 http://a.com/?%zz",
    "userinfo": "http://u@a.com/ http://u:p@a.com/ http://@a.com/ http://a@b@c.com/ http://:@a.com/",
    "port": "http://a.com:/ http://a.com:0/ http://a.com:080/ http://a.com:65536/ http://a.com:-1/ "
    "http://a.com:+80/ http://a.com:8_0/ http://a.com:80x/ http://a.com:80:80/ http://a.com:22/ "
    "http://a.com:6379/ http://a.com:999999999999/ http://a.com:\u0668\u0660/ http://[2606::1]x/ "
    "http://[2606::1]:/ http://[2606::1]:22/ http://[2606::1]8080/",
    "host": "http://[::1 http://::1]/ http://[[::1]]/ http://a[::1]/ http://[::g]/ http://[]/ "
    "http://[127.0.0.1]/ http://[::1%25eth0]/ http://[fe80::1%eth0]/ http://[1::2::3]/ http://[v1.a]/",
}

REFUSED_HOSTS = """
    127.1 0 0x7f.1 2130706433 0177.0.0.1 127.000.000.001 127.0.0.1. 127.0.0.1.. 1.2.3.4.5 a.0x a.7
    256.256.256.256 0X7F.0.0.1 8.8.8.08 0x a.0x7f. . .. .a.com a..com a.com.. -a.com a-.com a.-com
    a_b.com a%2ecom a.com%00 a;b.com a*b.com a,b.com a$b.com xn-- xn--a.com xn--zz--.com
"""
# Digits, letters and dots that IDNA would map to ASCII ones; a sign that maps to a/c; an emoji,
# which IDNA 2008 has no place for; a mark at a label's begin.
REFUSED_UNICODE_HOSTS = [
    "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460",
    "\uff18.\uff18.\uff18.\uff18",
    "8\u30028\u30028\u30028",
    "8.8.8.8\uff0e",
    "0\uff587f.1",
    "\u0668.8.8.8",
    "\u2100.com",
    "\U0001f4a9.com",
    "\u0301a.com",
]
# Marks and fillers that show nothing; UTS 46 drops them: loc\u034falhost would mean localhost.
INVISIBLE_MARKS = "\u034f\u115f\u17b4\u180b\u180f\u3164\ufe00\ufe0f\uffa0\U000e0100\U000e01ef"
HIDDEN_CHARACTERS = "\0\t\r\n \x7f\x85\xa0\xad\u200b\u202e\u2028\ufeff\ud800"


class TestRefusals:
    @pytest.mark.parametrize(
        ("code", "url"),
        [(code, url) for code, urls in REFUSED_URLS.items() for url in urls.split()],
    )
    def test_what_two_parsers_could_read_differently_is_refused(self, code: str, url: str) -> None:
        assert refusal_code(url) == code

    @pytest.mark.parametrize("host", [*REFUSED_HOSTS.split(), *REFUSED_UNICODE_HOSTS])
    def test_a_host_that_is_neither_a_name_nor_a_canonical_address_is_refused(
        self, host: str
    ) -> None:
        assert refusal_code(f"http://{host}/") == "host"

    @pytest.mark.parametrize("character", HIDDEN_CHARACTERS)
    def test_controls_spaces_and_hidden_characters_are_refused_everywhere(
        self, character: str
    ) -> None:
        for url in ("{}http://a.com/", "http://a{}b.com/", "http://a.com/{}", "http://a.com/?{}"):
            assert refusal_code(url.format(character)) == "character"

    @pytest.mark.parametrize("mark", INVISIBLE_MARKS)
    def test_invisible_marks_are_refused_in_hosts_and_encoded_elsewhere(self, mark: str) -> None:
        assert refusal_code(f"http://loc{mark}alhost.com/") == "character"
        assert parse_destination(f"http://a.com/{mark}").target.startswith("/%")

    def test_nothing_is_no_url(self) -> None:
        assert refusal_code("") == "scheme"

    def test_urls_labels_and_names_have_a_greatest_length(self) -> None:
        assert parse_destination(f"http://a.com/{'a' * 2035}")
        assert refusal_code(f"http://a.com/{'a' * 2036}") == "too_long"
        assert refusal_code("http://a.com/" + "\u00e9" * 400) == "too_long"
        assert parse_destination(f"http://{'a' * 63}.com/")
        assert refusal_code(f"http://{'a' * 64}.com/") == "host"
        assert parse_destination(f"http://{'a.' * 126}a/")
        assert refusal_code(f"http://{'a.' * 126}aa/") == "host"
        assert refusal_code("http://" + "\u00e9" * 300 + ".com/") == "host"
        assert refusal_code("http://" + "\u00e9" * 64 + ".com/") == "host"

    def test_no_url_takes_long_to_refuse(self) -> None:
        parse_destination("http://b\u00fccher.example/")  # idna reads its tables
        hosts = ["\u00fc" * 253, ("\u00fc" * 60 + ".") * 4, "a" + "\u0301\u0323" * 120, "1." * 1000]
        began_at = time.process_time()
        for host in hosts:
            assert refusal_code(f"http://{host}com/") == "host"
        assert time.process_time() - began_at < 0.1

    def test_plain_http_is_refused_where_only_https_is_wanted(self) -> None:
        assert refusal_code("http://example.com/", https_only=True) == "https_only"
        assert parse_destination("https://example.com/", https_only=True)
        assert parse_destination("http://example.com/", https_only=False)
