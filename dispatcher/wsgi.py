"""What a web server runs; docker-compose.yml has the command."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dispatcher.settings")

application = get_wsgi_application()
