"""URLs that must be refused, or taken: the list of known attacks, and what was tried besides.

Each is tried by every way in: API, admin form, and a row written straight into the database.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).parent / "subscriptions" / "data" / "ssrf_cases.json"


@dataclass(frozen=True)
class Case:
    """A URL as somebody types it."""

    url: str
    is_allowed: bool
    why: str

    def __str__(self) -> str:
        return f"{self.why}: {self.url[:50]!a}"


KNOWN = [
    Case(each["url"], each["expect"] == "allowed", each["why"])
    for each in json.loads(_FILE.read_text())
]

_FORBIDDEN = {
    "IPv4 inside IPv6": [
        "http://[::ffff:0:127.0.0.1]/",
        "http://[::127.0.0.1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b:1::10.0.0.1]/",
        "http://[64:ff9b:1:a00:0:100::]/",
        "http://[2001:0:a00:1:8000:63bf:f7f7:f7f7]/",
        "http://[2606:4700::5efe:10.0.0.1]/",
        "http://[2606:4700::200:5efe:169.254.169.254]/",
        "http://[2002:a9fe:a9fe::]/",
    ],
    "zones": [
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[::1%25lo]/",
        "http://[::1%251]/",
    ],
    "addresses that are public in form only": [
        "http://161.26.0.10/",
        "http://166.9.0.1/",
        "http://192.88.99.1/",
        "http://192.175.48.1/",
        "http://[2620:4f:8000::1]/",
        "http://[3ffe::1]/",
        "http://[5f00::1]/",
        "http://[4000::1]/",
        "http://[fec0::1]/",
        "http://0.0.0.1/",
        "http://127.0.0.2/",
    ],
    "spellings of addresses": [
        "http://127.0.1/",
        "http://0x7f.0x0.0x0.0x1/",
        "http://017700000001/",
        "http://0x7f000001.0/",
        "http://127.0.0.0x1/",
        "http://4294967295/",
        "http://127.0.0.1.../",
        "http://\uff11\uff12\uff17.\uff10.\uff10.\uff11/",
        "http://127\u30020\uff0e0\uff611/",
        "http://\u0661\u0662\u0667.0.0.1/",
        "http://127.0.0.1\u034f/",
        "http://1\ufe0f27.0.0.1/",
        "http://0\u24e77f.0.0.1/",
        "http://[::\uff11]/",
        "http://[0:0:0:0:0:ffff:127.0.0.1]/",
        "http://[::ffff:7f.0.0.1]/",
        "http://[::1]extra/",
        "http://[::1].example.com/",
        "http://[:::1]/",
        "http://[00000::1]/",
    ],
    "spellings of names": [
        "http://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3/",
        "http://loc\u034falhost/",
        "http://local\u00adhost/",
        "http://local\u200dhost/",
        "http://localhost\u3002/",
        "http://metadata.google.\u24d8nternal/",
        "http://METADATA.google.internal./",
        "http://localhost../",
        "http://localhost.localdomain/",
        "http://x.y.localhost./",
        "http://\u33c7/",
        "http://a\u2100b.com/",
        "http://xn--/",
        "http://xn--localhost-.com/",
        "http://a_b.example.com/",
        "http://*.example.com/",
        "http://example.com,127.0.0.1/",
        "http://example.com;127.0.0.1/",
    ],
    "two parsers, two hosts": [
        "http://127.0.0.1\\.example.com/",
        "http://example.com\\127.0.0.1/",
        "http://example.com:80\\@127.0.0.1/",
        "http://example.com#@127.0.0.1",
        "http://example.com?@127.0.0.1/",
        "http://example.com:80@127.0.0.1:80/",
        "http://example.com:@127.0.0.1/",
        "http://a@b@127.0.0.1/",
        "http://[::1]@example.com/",
        "http://example.com%00@127.0.0.1/",
        "http://example.com%23@127.0.0.1/",
        "http://127.0.0.1%23.example.com/",
        "http://127.0.0.1%2f.example.com/",
        "http://127.0.0.1;.example.com/",
        "http:\\\\127.0.0.1/",
        "http://\\127.0.0.1/",
        "http:////127.0.0.1/",
        "http//127.0.0.1/",
        "://127.0.0.1/",
        "http://http://127.0.0.1/",
        "http://%31%32%37.0.0.1/",
        "http://127.0.0.1:80:80/",
        "http://example.com:80 @127.0.0.1/",
    ],
    "schemes": [
        "hTTp\u017f://example.com/",
        "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
        "dict://127.0.0.1:11211/stat",
        "ldap://127.0.0.1/",
        "jar:http://127.0.0.1!/",
        "view-source:http://127.0.0.1/",
        "ws://example.com/",
        "httpx://example.com/",
        "\u200bhttp://127.0.0.1/",
    ],
    "ports": [
        "http://example.com:00080/",
        "http://example.com:80,22/",
        "http://example.com:\uff18\uff10/",
        "http://example.com:+80/",
        "http://example.com:0x50/",
        "http://example.com:8_0/",
        "http://example.com:4294967376/",
        "http://example.com:25/",
        "http://example.com:11211/",
        "http://example.com:2375/",
        "http://example.com:3128/",
        "http://example.com:10250/",
    ],
    "line breaks": [
        "http://example.com/\nHost: 127.0.0.1",
        "http://example.com\r\n/",
        "http://example.com/\u2028x",
        "http://example.com/?a=\rb",
        " http://example.com/",
        "http://example.com/ ",
        "http://example.com/\x7f",
    ],
}

_TAKEN = {
    "just outside of what is special": [
        "http://9.255.255.255/",
        "http://172.15.255.255/",
        "http://192.169.0.1/",
        "http://169.253.255.255/",
        "http://[2606:4700::5eff:10.0.0.1]/",
        "http://[2003::1]/",
    ],
    "names that only look odd": [
        "http://fa\u00df.example/",
        "http://xn--fa-hia.example/",
        "http://localhost.example.com/",
        "http://127.0.0.1.example.com/",
        "http://0x7f.example.com/",
        "http://1e3.example/",
        "http://example.com./",
    ],
    "what may stand behind a host": [
        "http://example.com/@127.0.0.1/",
        "http://example.com/#@127.0.0.1/",
        "http://example.com/?u=http://127.0.0.1/",
        "http://example.com:8080//127.0.0.1/",
    ],
}

TRIED = [
    Case(url, is_allowed, why)
    for is_allowed, groups in ((False, _FORBIDDEN), (True, _TAKEN))
    for why, urls in groups.items()
    for url in urls
]

CASES = [*KNOWN, *TRIED]
"""All of them."""
