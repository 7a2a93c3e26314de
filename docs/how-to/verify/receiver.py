"""A receiver to try things with, on this machine: verifies each request, answers 204 or 401.

python3 receiver.py SECRET [PORT]
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from verify import verify

SECRET = sys.argv[1]
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 9999
SIGNED_BY = ("webhook-id", "webhook-timestamp", "webhook-signature")


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        is_right = verify(SECRET, *(self.headers.get(name, "") for name in SIGNED_BY), body)
        self.log_message("%s: %s", "verified" if is_right else "NOT VERIFIED", body.decode())
        self.send_response(204 if is_right else 401)
        self.end_headers()

    def log_request(self, *_):
        """Say nothing more."""


ThreadingHTTPServer(("127.0.0.1", PORT), Receiver).serve_forever()
