"""Every setting of the installation, read from the environment once, at start.

Nothing set: one process, SQLite, in-memory broker (`manage.py up`). `DATABASE_URL` and `REDIS_URL`
set: production. `.env.example` documents each variable.
"""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from django.core.management.utils import get_random_secret_key
from django.templatetags.static import static
from environs import validate

from dispatcher.api_description import API_DESCRIPTION, SWAGGER_UI_FOLDER
from dispatcher.env import (
    database,
    dns_servers,
    egress_proxy,
    encryption_keys,
    env,
    heartbeat_file,
    make_directory,
    networks,
    read_or_create_key_file,
    refuse_outside_of_the_demo,
    secret_key,
)

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = env.path("DISPATCHER_DATA_DIR", BASE_DIR / "var" / "data")
DATABASE_URL = env.str("DATABASE_URL", "")
REDIS_URL = env.str("REDIS_URL", "")

DISPATCHER_EMBEDDED = not DATABASE_URL
"""One process on SQLite: keys are made on the first start, and the demo is shown."""

DISPATCHER_PORT = env.int("PORT", 8000, validate=validate.Range(min=1, max=65535))

# ---- Sending --------------------------------------------------------------------------------

DISPATCHER_TRANSPORT = env.str(
    "DISPATCHER_TRANSPORT", "curl", validate=validate.OneOf(["curl", "requests"])
)
"""What makes the requests; `requests` is for platforms without libcurl, and slower (ADR 8)."""
DISPATCHER_ALLOWED_NETWORKS = networks("DISPATCHER_ALLOWED_NETWORKS")
DISPATCHER_REFUSED_NETWORKS = networks("DISPATCHER_REFUSED_NETWORKS")
DISPATCHER_EGRESS_PROXY = egress_proxy("DISPATCHER_EGRESS_PROXY")
DISPATCHER_DNS_SERVERS = dns_servers("DISPATCHER_DNS_SERVERS")

DISPATCHER_REQUEST_DEADLINE_SECONDS = 5.0
"""All there is for one attempt: DNS, connect, TLS, request, response. Both systems that this
product replaces promise five seconds."""

DISPATCHER_LEASE_SECONDS = env.int(
    "DISPATCHER_LEASE_SECONDS", 30, validate=validate.Range(min=10, max=3600)
)
"""How long a claimed delivery belongs to one worker: a killed worker's are sent again after it."""

DISPATCHER_IN_FLIGHT_LIMIT = env.int(
    "DISPATCHER_IN_FLIGHT_LIMIT", 1000, validate=validate.Range(min=1, max=10_000)
)
"""Requests under way at once in one worker process; with the `requests` transport 100 at most."""

DISPATCHER_IN_FLIGHT_PER_SUBSCRIPTION = env.int(
    "DISPATCHER_IN_FLIGHT_PER_SUBSCRIPTION", 50, validate=validate.Range(min=1, max=10_000)
)
"""Requests under way at once to one subscription, in one worker process; 8 until its receiver has
been heard."""

DISPATCHER_HEARTBEAT_FILE = heartbeat_file("DISPATCHER_HEARTBEAT_FILE")
"""Touched by a worker whose pump gets on, and by beat: what health checks look at."""

# ---- Storing --------------------------------------------------------------------------------

DISPATCHER_PAYLOAD_LIMIT_BYTES = env.int(
    "DISPATCHER_PAYLOAD_LIMIT_BYTES", 256 * 1024, validate=validate.Range(min=1, max=16 * 1024**2)
)
DISPATCHER_RETENTION_DAYS = env.int(
    "DISPATCHER_RETENTION_DAYS", 30, validate=validate.Range(min=1, max=3650)
)
DISPATCHER_AUDIT_RETENTION_DAYS = env.int(
    "DISPATCHER_AUDIT_RETENTION_DAYS", 400, validate=validate.Range(min=30, max=3650)
)
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * DISPATCHER_PAYLOAD_LIMIT_BYTES + 64 * 1024
"""Bytes of a request body that are read: white space and the envelope come on top of a payload."""

DISPATCHER_BATCH_LIMIT_BYTES = max(
    DATA_UPLOAD_MAX_MEMORY_SIZE,
    env.int(
        "DISPATCHER_BATCH_LIMIT_BYTES",
        4 * 1024**2,
        validate=validate.Range(min=1, max=64 * 1024**2),
    ),
)
"""The same of a batch of events: a thousand of 1 KiB fit, with their envelopes, three times."""

DISPATCHER_UNFINISHED_LIMIT = env.int(
    "DISPATCHER_UNFINISHED_LIMIT", 1_000_000, validate=validate.Range(min=0, max=1_000_000_000)
)
"""Unfinished deliveries of one project beyond which its events are refused; 0: none are."""

DISPATCHER_SUBSCRIPTIONS_PER_PROJECT = env.int(
    "DISPATCHER_SUBSCRIPTIONS_PER_PROJECT", 500, validate=validate.Range(min=1, max=100_000)
)

# ---- Rates: tokens per second, of which ten seconds' worth may be taken at once; 0: no limit -----

DISPATCHER_PUBLISH_RATE_PER_KEY = env.int(
    "DISPATCHER_PUBLISH_RATE_PER_KEY", 1000, validate=validate.Range(min=0, max=10_000)
)
DISPATCHER_PUBLISH_RATE_PER_PROJECT = env.int(
    "DISPATCHER_PUBLISH_RATE_PER_PROJECT", 2000, validate=validate.Range(min=0, max=10_000)
)
DISPATCHER_REQUEST_RATE_PER_KEY = env.int(
    "DISPATCHER_REQUEST_RATE_PER_KEY", 50, validate=validate.Range(min=0, max=10_000)
)
DISPATCHER_RATE_REDIS_URL = REDIS_URL
"""Where rates are counted for all processes; empty: in the memory of this one."""

SQLITE_FILE = DATA_DIR / "dispatcher.sqlite3"
_POSTGRES_OPTIONS = (
    "-c statement_timeout=30s -c lock_timeout=5s -c idle_in_transaction_session_timeout=60s"
)
"""An open snapshot slows every claim, and a waiter behind a lock must not hang for ever."""

_POSTGRES_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 5, "keepalives_count": 3}
"""Seconds and probes: a server that went without a word is noticed before a statement meets it."""


def _database() -> dict[str, Any]:
    if DISPATCHER_EMBEDDED:
        make_directory("DISPATCHER_DATA_DIR", DATA_DIR)
        return {
            "ENGINE": "dispatcher.sqlite",
            "NAME": str(SQLITE_FILE),
            "OPTIONS": {
                "timeout": 5,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
            },
        }
    postgres = database("DATABASE_URL")
    postgres["ENGINE"] = "dispatcher.postgresql"
    options = postgres.setdefault("OPTIONS", {})
    options.setdefault("options", _POSTGRES_OPTIONS)
    options.setdefault("connect_timeout", 5)
    for name, value in _POSTGRES_KEEPALIVES.items():
        options.setdefault(name, value)
    options.setdefault("prepare_threshold", 5)  # of what binds on the server: publishing
    return postgres


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ---- Keys -----------------------------------------------------------------------------------

_encryption_keys_file = DATA_DIR / "encryption.key"
if DISPATCHER_EMBEDDED and not env.str("DISPATCHER_ENCRYPTION_KEYS", ""):
    DISPATCHER_ENCRYPTION_KEYS: tuple[str, ...] = (
        read_or_create_key_file(_encryption_keys_file, lambda: Fernet.generate_key().decode()),
    )
else:
    DISPATCHER_ENCRYPTION_KEYS = encryption_keys("DISPATCHER_ENCRYPTION_KEYS")

if DISPATCHER_EMBEDDED and not env.str("DISPATCHER_SECRET_KEY", ""):
    SECRET_KEY = read_or_create_key_file(DATA_DIR / "secret.key", get_random_secret_key)
else:
    SECRET_KEY = secret_key("DISPATCHER_SECRET_KEY")

# ---- Celery and cache: only wake-ups, never work ---------------------------------------------

_SHORT_TIMEOUTS = {"socket_timeout": 0.2, "socket_connect_timeout": 0.2}
"""Seconds a publisher waits for a Redis that does not answer; polling covers what is missed."""

CELERY_BROKER_URL = REDIS_URL or "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {"visibility_timeout": 60} if REDIS_URL else {"polling_interval": 0.01}
)
CELERY_BROKER_TRANSPORT = "dispatcher.redis_transport:Transport" if REDIS_URL else None
CELERY_BROKER_USE_SSL = (
    {"ssl_cert_reqs": ssl.CERT_REQUIRED} if REDIS_URL.startswith("rediss://") else None
)
"""With a transport of one's own, kombu no longer takes TLS from the scheme. Certificates are
verified, as the cache does; `?ssl_cert_reqs=…` in the URL decides otherwise for both."""
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
"""A failover answers a waiting worker with an error, which would end it; it connects again."""
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "deliveries"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
"""Whoever can write to Redis could stop workers by it; and while Redis refuses to be written, what
a worker cannot delete there keeps its connections open, more with every reconnect."""
DISPATCHER_HOUSEKEEPING_EVERY = timedelta(hours=1)
"""How often old history is dropped and partitions are made; once, however many beats there are."""

CELERY_BEAT_SCHEDULE = {
    name: {"task": f"deliveries.{name}", "schedule": DISPATCHER_HOUSEKEEPING_EVERY}
    for name in ("prune", "make_partitions")
}
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULER = "dispatcher.beat:Scheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 10
"""Seconds between two signs of life of beat, at the most."""

CACHES = {
    "default": {
        "BACKEND": "dispatcher.redis_cache.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": _SHORT_TIMEOUTS,
    }
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

# ---- Web ------------------------------------------------------------------------------------

DEBUG = env.bool("DISPATCHER_DEBUG", False)
ALLOWED_HOSTS = env.list(
    "DISPATCHER_ALLOWED_HOSTS",
    ["localhost", "127.0.0.1", "[::1]"] if DISPATCHER_EMBEDDED else ...,
)
CSRF_TRUSTED_ORIGINS: list[str] = env.list("DISPATCHER_TRUSTED_ORIGINS", [])
DISPATCHER_TRUSTED_PROXIES = networks("DISPATCHER_TRUSTED_PROXIES")
"""Whose `X-Forwarded-For` is believed; anybody else's address is that of the connection."""

if not DISPATCHER_EMBEDDED:
    # `...` only says that there is no default.
    refuse_outside_of_the_demo(debug=DEBUG, hosts=ALLOWED_HOSTS)  # type: ignore[arg-type]

DISPATCHER_HTTPS = env.bool("DISPATCHER_HTTPS", not DISPATCHER_EMBEDDED)
"""Whoever asks from outside comes through a proxy with TLS, which says so in a header."""

if DISPATCHER_HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$"]  # who supervises us asks us, not the proxy
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # other names of the domain are not ours to decide about
    "security.W021",  # nor whether browsers ship with it in a list
]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "projects-page"
LOGOUT_REDIRECT_URL = "sign-in"
SESSION_COOKIE_AGE = 12 * 3600
"""Seconds: a working day. Signing in again is cheaper than a forgotten session."""

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin.apps.SimpleAdminConfig",  # the pages come with `dispatcher.urls`
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",  # its command writes docs/reference/openapi.yaml
    "subscriptions",
    "deliveries",
    "dispatcher",
]
MIDDLEWARE = [
    "subscriptions.access.request_context.RequestContext",
    "dispatcher.browser_security.ApiNeedsTls",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "dispatcher.browser_security.BrowserSecurity",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "dispatcher.request_size.RequestSize",
    "dispatcher.events_first.EventsFirst",
    "dispatcher.page_language.PageLanguage",
    "dispatcher.portal.Portal",  # before what reads cookies
    "dispatcher.page_middleware.PageSessions",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "dispatcher.page_middleware.PageLogins",
    "dispatcher.page_middleware.PageMessages",
]
MESSAGE_STORAGE = "dispatcher.portal_messages.storage_for"
ROOT_URLCONF = "dispatcher.urls"
WSGI_APPLICATION = "dispatcher.wsgi.application"
APPEND_SLASH = True  # for the admin; the REST API has no trailing slashes

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
STATIC_URL = "static/"
STATICFILES_DIRS = [("swagger-ui", SWAGGER_UI_FOLDER)]
STATIC_ROOT = env.path("DISPATCHER_STATIC_ROOT", BASE_DIR / "var" / "static")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "dispatcher.static_files.CollectedFiles"},
}
WHITENOISE_USE_FINDERS = DISPATCHER_EMBEDDED
"""Files are served from where they stand, under their own names: nothing need be collected."""

UNFOLD = {  # the admin's look
    "SITE_TITLE": "Webhook dispatcher",
    "SITE_HEADER": "Webhook dispatcher",
    "SITE_SYMBOL": "outbox",
    "SITE_URL": None,
    "LOGIN": {"form": "dispatcher.login_throttle.LoginForm"},
    "SIDEBAR": {"navigation": "dispatcher.system_page.navigation"},
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda _request: static("dispatcher/icon.svg"),
        }
    ],
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("ja", "Japanese")]
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SECURE = DISPATCHER_HTTPS
TIME_ZONE = "UTC"
USE_TZ = True

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["subscriptions.rest.conventions.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["subscriptions.rest.conventions.HasScope"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "subscriptions.rest.conventions.AlwaysJSON",
    "DEFAULT_RENDERER_CLASSES": ["subscriptions.rest.exact_json.ExactJSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["subscriptions.rest.conventions.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "subscriptions.openapi.schema.ApiSchema",
    "EXCEPTION_HANDLER": "subscriptions.rest.problems.problem_response",
    "UNAUTHENTICATED_USER": None,
    "UNICODE_JSON": True,
}

SPECTACULAR_SETTINGS = API_DESCRIPTION

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "subscriptions.access.request_context.RequestIdFilter"}},
    "formatters": {
        "line": {
            "class": "subscriptions.access.request_context.LineFormatter",
            "format": "{asctime} {levelname} {name} {message}{request_note}",
            "style": "{",
        }
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["request_id"],
        }
    },
    "root": {"handlers": ["console"], "level": env.str("DISPATCHER_LOG_LEVEL", "INFO")},
    "loggers": {
        "django.server": {"propagate": True},
        "celery": {"level": "WARNING"},
        # A client's mistake is the client's to read: it must not fill the log.
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}
