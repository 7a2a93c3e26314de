"""What a web server runs; docker-compose.yml has the command. Does not start with wrong keys."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dispatcher.settings")

application = get_wsgi_application()


def _check_keys() -> None:
    from django.db import connection  # the app registry comes first

    from subscriptions.secrets.encryption_canary import check_keys

    try:
        check_keys()
    finally:
        connection.close()  # what serves requests opens its own


_check_keys()
