"""The bare loop: composes, signs and POSTs with libcurl's multi interface, and records nothing.

    python -m bench.yardsticks.curl_loop http://127.0.0.1:8000/ 100000

No queue, no guard, no caps, no outcomes, no log: what is left is the least that sending costs in
Python. The requests are those that the product sends. Prints what they took as JSON.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import sys
import time
from dataclasses import asdict, dataclass

import pycurl

SUBSCRIPTIONS = 200
IN_FLIGHT = 50
"""As measured, the cheapest: a hundred cost as much, and ten or five hundred more."""

_DATA = '{"n": %d, "text": "' + "x" * 900 + '"}'


@dataclass(frozen=True, slots=True)
class Loop:
    """What a loop took."""

    requests: int
    seconds: float
    cpu_seconds: float


def run(url: str, requests: int) -> Loop:
    """Send so many, `IN_FLIGHT` at once; raises unless every answer is a 2xx."""
    keys = [secrets.token_bytes(32) for _ in range(SUBSCRIPTIONS)]
    multi = pycurl.CurlMulti()
    multi.setopt(pycurl.M_MAXCONNECTS, IN_FLIGHT)
    free = [_make_handle(url) for _ in range(IN_FLIGHT)]
    handles = list(free)  # libcurl keeps no reference of its own
    began, cpu_began = time.perf_counter(), time.process_time()
    begun = ended = 0
    while ended < requests:
        while free and begun < requests:
            curl = free.pop()
            _prepare(curl, begun, keys[begun % SUBSCRIPTIONS])
            multi.add_handle(curl)
            begun += 1
        multi.perform()
        for curl in _finished(multi):
            multi.remove_handle(curl)
            if curl.getinfo(pycurl.RESPONSE_CODE) // 100 != 2:
                raise SystemExit("the receiver did not answer with 2xx")
            free.append(curl)
            ended += 1
        if not free or begun == requests:
            multi.select(1.0)
    taken = Loop(requests, time.perf_counter() - began, time.process_time() - cpu_began)
    for curl in handles:
        curl.close()
    return taken


def _make_handle(url: str) -> pycurl.Curl:
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.TIMEOUT, 5)
    curl.setopt(pycurl.PROXY, "")
    curl.setopt(pycurl.POST, 1)
    curl.setopt(pycurl.WRITEFUNCTION, len)
    return curl


def _prepare(curl: pycurl.Curl, number: int, key: bytes) -> None:
    now = time.time()
    message_id = f"evt_{number:032x}"
    created = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(now))
    body = f'{{"type":"Task.update","timestamp":"{created}","data":{_DATA % number}}}'.encode()
    content = f"{message_id}.{int(now)}.".encode() + body
    signature = base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    curl.setopt(
        pycurl.HTTPHEADER,
        [
            "Content-Type: application/json",
            "User-Agent: bare-loop/1",
            f"webhook-id: {message_id}",
            f"webhook-timestamp: {int(now)}",
            f"webhook-signature: v1,{signature}",
            "Accept:",
            "Expect:",
        ],
    )
    curl.setopt(pycurl.POSTFIELDS, body)


def _finished(multi: pycurl.CurlMulti) -> list[pycurl.Curl]:
    ended: list[pycurl.Curl] = []
    queued = 1
    while queued:
        queued, done, failed = multi.info_read()
        if failed:
            raise SystemExit(f"a request failed: {failed[0][2]}")
        ended += done
    return ended


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(run(sys.argv[1], int(sys.argv[2])))))
