"""Sends to every known attack from inside of the wall: `unshare --net python -m tests.walled curl`.

Prints JSON: the `outcomes` of rows that were written straight into the database, and the `packets`
and `requests` that the world saw.
"""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    """Set Django up, which the rest of the imports need, and send."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django
    from django.test.utils import setup_databases

    django.setup()
    setup_databases(verbosity=0, interactive=False)
    from tests.walled.sender import send_all

    sys.stdout.write(json.dumps(send_all(transport=sys.argv[1])))


if __name__ == "__main__":
    main()
