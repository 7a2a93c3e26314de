"""The product's settings, in an environment that only the tests decide.

Loaded in every process of the suite, and by `make check`. `TEST_DATABASE_URL` and `TEST_REDIS_URL`
choose PostgreSQL and Redis (`python -m tests.servers` sets them); without, it is the embedded home.
"""

import atexit
import os
import shutil
import tempfile
from urllib.parse import urlsplit

DATA_FOLDER = tempfile.mkdtemp(prefix="dispatcher-tests-")
STATIC_FOLDER = f"{DATA_FOLDER}/static"  # not with the database: each client looks at all files
os.mkdir(STATIC_FOLDER)
atexit.register(shutil.rmtree, DATA_FOLDER, ignore_errors=True)

for name in list(os.environ):
    if name.startswith("DISPATCHER_") or name in {"DATABASE_URL", "REDIS_URL", "PORT"}:
        del os.environ[name]
for name in ("DATABASE_URL", "REDIS_URL"):
    if os.environ.get(f"TEST_{name}"):
        os.environ[name] = os.environ[f"TEST_{name}"]
if os.environ.get("REDIS_URL") and "PYTEST_XDIST_WORKER" in os.environ:
    # A database for each process of the suite: none empties another's cache, or takes its messages.
    number = 1 + int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
    os.environ["REDIS_URL"] = urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{number}").geturl()
os.environ |= {
    "DISPATCHER_DATA_DIR": DATA_FOLDER,
    "DISPATCHER_STATIC_ROOT": STATIC_FOLDER,
    "DISPATCHER_SECRET_KEY": "for tests only " * 4,
    "DISPATCHER_ENCRYPTION_KEYS": "dGhlc2UgYXJlIDMyIGJ5dGVzIGZvciB0ZXN0cy4uLi4=",
    "DISPATCHER_ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
    "DISPATCHER_HTTPS": "false",  # servers on loopback, with no proxy in front
}

from dispatcher.settings import *  # noqa: E402, F403  # all of it, with what is set above
from dispatcher.settings import DATABASES, DISPATCHER_EMBEDDED  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # slow ones are for customers

if DISPATCHER_EMBEDDED:
    # A file, as in production, but one that does not wait for the disk.
    DATABASES["default"]["TEST"] = {"NAME": f"{DATA_FOLDER}/test.sqlite3"}
    DATABASES["default"]["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"
