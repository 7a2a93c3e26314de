"""Verify a webhook (Standard Webhooks 1.0). Python 3.9 or newer, standard library only."""

import base64
import hmac
import os
import re
import sys
import time

TOLERANCE_SECONDS = 300


def verify(secret, message_id, timestamp, signatures, body, now=None):
    """Say whether `body` (bytes, exactly as received) was signed with `secret`."""
    now = time.time() if now is None else now
    if not re.fullmatch("[0-9]{1,12}", timestamp):
        return False
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    right = b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256"))
    entries = signatures.split(" ")  # several while a secret is rotated
    return any(hmac.compare_digest(right, entry.encode()) for entry in entries)


if __name__ == "__main__":  # python3 verify.py ID TIMESTAMP SIGNATURES [NOW] < body
    body = sys.stdin.buffer.read()
    now = int(sys.argv[4]) if len(sys.argv) > 4 else None
    is_right = verify(os.environ["WEBHOOK_SECRET"], *sys.argv[1:4], body, now)
    sys.exit(0 if is_right else "not verified")
