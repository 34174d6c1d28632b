"""Django's settings: a fresh clone runs without any variable, a production names its own.

Importing this module starts nothing and connects to nothing.
"""

from __future__ import annotations

import logging
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from carbon.embedded.broker import BrokerServer
from carbon.embedded.transport import embedded_url
from carbon.environment import CLONE_DIR, ENV, identity_providers, kept_secret, state_dir

BASE_DIR = CLONE_DIR
STATE_DIR = state_dir()

# A named database makes this a production: nothing is generated or guessed there.
DATABASE_URL = ENV.str("DATABASE_URL", "")
EMBEDDED = not DATABASE_URL
DEBUG = ENV.bool("CANOPY_DEBUG", False)
HTTPS = ENV.bool("CANOPY_HTTPS", not (EMBEDDED or DEBUG))

SECRET_KEY = (
    ENV.str("CANOPY_SECRET_KEY", "") or kept_secret(STATE_DIR / "secret_key")
    if EMBEDDED
    else ENV.str("CANOPY_SECRET_KEY")
)
SECRET_KEY_FALLBACKS: list[str] = ENV.list("CANOPY_SECRET_KEY_FALLBACKS", [])
ALLOWED_HOSTS = (
    ENV.list("CANOPY_ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
    if EMBEDDED
    else ENV.list("CANOPY_ALLOWED_HOSTS")
)

ROOT_URLCONF = "carbon.urls"
ASGI_APPLICATION = "carbon.asgi.application"
WSGI_APPLICATION = "carbon.wsgi.application"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "guardian",
    "oauth2_provider",
    "corsheaders",
    "allauth",
    "carbon.apps.EmailAddressesConfig",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "accounts.apps.AccountsConfig",
    "allocation.apps.AllocationConfig",
    "graphql_api.apps.GraphqlApiConfig",
    "carbon.apps.CarbonConfig",
]

MIDDLEWARE = [
    "carbon.correlation.correlation_middleware",
    "carbon.metrics.metrics_middleware",
    "django.middleware.security.SecurityMiddleware",
    "carbon.static_files.StaticFilesMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "carbon.host_check.HostCheckMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    # Last: a function, through which carbon.handler cannot look for layers that need no thread.
    "allauth.account.middleware.AccountMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Database: PostgreSQL 18 or newer, nothing else -----------------------------------------------

# Services open their own short transactions; a view has no reason to hold one.
ATOMIC_REQUESTS = False
DATABASE: dict[str, Any]
if EMBEDDED:
    DATABASE = {
        "ENGINE": "carbon.embedded.database",
        # A process of a test run names the test's database; everybody else has one.
        "NAME": ENV.str("CANOPY_EMBEDDED_DATABASE", "canopy"),
        "OPTIONS": {"state_dir": str(STATE_DIR)},
    }
else:
    DATABASE = dict(dj_database_url.parse(DATABASE_URL))
    if not DATABASE["ENGINE"].endswith(".postgresql"):
        raise ImproperlyConfigured("DATABASE_URL must name a PostgreSQL, version 18 or newer")
    DATABASE["CONN_HEALTH_CHECKS"] = True
# Under ASGI each request has a thread of its own and would open a connection of its own: the API server (carbon.asgi)
# takes them from a pool. Commands and workers keep one each.
POOL_CONNECTIONS = ENV.int("CANOPY_POOL_CONNECTIONS", 0)
if POOL_CONNECTIONS:
    DATABASE.setdefault("OPTIONS", {})["pool"] = {
        "min_size": 1,
        "max_size": POOL_CONNECTIONS,
        "timeout": 10,  # seconds that a request waits for one
        "max_idle": 300,
    }
    DATABASE["CONN_HEALTH_CHECKS"] = True
# Off where a pooler between us and PostgreSQL gives each transaction another connection and does not know them.
PREPARED_STATEMENTS = ENV.bool("CANOPY_PREPARED_STATEMENTS", True)
DATABASE["ATOMIC_REQUESTS"] = ATOMIC_REQUESTS
DATABASES = {"default": DATABASE}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Who may come in -------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "guardian.backends.ObjectPermissionBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/graphql/"
LOGOUT_REDIRECT_URL = "login"

# Enterprises sign their people in with OpenID Connect; passwords of ours stay possible.
IDENTITY_PROVIDERS = identity_providers()
SOCIALACCOUNT_ONLY = True
SOCIALACCOUNT_ADAPTER = "carbon.identity_providers.EnterpriseLogin"
SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": IDENTITY_PROVIDERS}}
SOCIALACCOUNT_STORE_TOKENS = False
# People are told apart by provider and subject alone, so an e-mail address may occur twice and proves nothing.
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
ACCOUNT_UNIQUE_EMAIL = False
ACCOUNT_EMAIL_VERIFICATION = "none"

# guardian stores grants on nodes; who sees what is decided by our own policies. No anonymous user
# is stored, users get no extra methods, and global permissions never count for objects.
ANONYMOUS_USER_NAME = None
GUARDIAN_MONKEY_PATCH_USER = False
GUARDIAN_MONKEY_PATCH_GROUP = False

OAUTH2_PROVIDER = {
    "OAUTH2_VALIDATOR_CLASS": "accounts.bearer_tokens.BearerTokens",
    "SCOPES": {
        "emissions:read": "Read the emissions of the nodes that you may see",
        "exports:write": "Order and download exports",
        "hierarchy:admin": "Change groups, memberships, grants and delegation",
        "operations": "Load data, run and publish allocations",
    },
    "DEFAULT_SCOPES": ["emissions:read"],
    "PKCE_REQUIRED": True,
    "ACCESS_TOKEN_EXPIRE_SECONDS": 3600,
    "REFRESH_TOKEN_EXPIRE_SECONDS": 14 * 24 * 3600,
    "ROTATE_REFRESH_TOKEN": True,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https"] if HTTPS else ["http", "https"],
    # The insecure flows of OAuth 2.0 are refused, not warned about (RFC 9700).
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    # Digests alone are stored: whoever reads a backup finds no token that works.
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
}

SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_TRUSTED_ORIGINS: list[str] = ENV.list("CANOPY_TRUSTED_ORIGINS", [])
X_FRAME_OPTIONS = "DENY"
SECURE_SSL_REDIRECT = HTTPS
# Load balancers ask the health pages over plain HTTP.
SECURE_REDIRECT_EXEMPT = [r"^health/"]
SECURE_HSTS_SECONDS = ENV.int("CANOPY_HSTS_SECONDS", 3600 if HTTPS else 0)
# Only behind a proxy that sets the header on every request: anybody else could forge it.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ENV.bool("CANOPY_BEHIND_PROXY", False) else None

# Front-end apps on other origins use bearer tokens; they get no cookies.
CORS_ALLOWED_ORIGINS: list[str] = ENV.list("CANOPY_CORS_ORIGINS", [])
CORS_URLS_REGEX = r"^/(graphql|o|exports)/"
CORS_ALLOW_CREDENTIALS = False
CORS_EXPOSE_HEADERS = ["X-Correlation-Id", "Retry-After", "Content-Disposition"]

# --- Files -----------------------------------------------------------------------------------------

STATIC_URL = "/static/"
MEDIA_ROOT = ENV.path("CANOPY_MEDIA_DIR", STATE_DIR / "media")
# A clone serves static files where they lie; a production collects, names and compresses them.
WHITENOISE_USE_FINDERS = EMBEDDED or DEBUG
STATIC_ROOT = None if WHITENOISE_USE_FINDERS else ENV.path("CANOPY_STATIC_DIR")
# Exports are nobody's but the processes'; static files are everybody's, whoever collected them.
EXPORT_FILE_MODE = 0o640


def storage_of_exports(*, bucket: str, prefix: str, endpoint: str, region: str) -> dict[str, Any]:
    """Where exports go: a folder, or a bucket where one is named. Credentials are found as boto3 finds them."""
    if not bucket:
        return {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"file_permissions_mode": EXPORT_FILE_MODE},
        }
    options: dict[str, Any] = {
        "bucket_name": bucket,
        "location": prefix,
        "endpoint_url": endpoint or None,
        "region_name": region or None,
        # We alone hand files out, and none is ever written over.
        "default_acl": None,
        "querystring_auth": True,
        "file_overwrite": False,
    }
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}


STORAGES = {
    "default": storage_of_exports(
        bucket=ENV.str("CANOPY_EXPORT_BUCKET", ""),
        prefix=ENV.str("CANOPY_EXPORT_PREFIX", ""),
        endpoint=ENV.str("CANOPY_EXPORT_ENDPOINT", ""),
        region=ENV.str("CANOPY_EXPORT_REGION", ""),
    ),
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if WHITENOISE_USE_FINDERS
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- Time and language -----------------------------------------------------------------------------

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False

# --- Celery: wakes workers up; what is to be done stands in PostgreSQL ------------------------------

CELERY_BROKER_URL = ENV.str("CELERY_BROKER_URL", "") or embedded_url(
    BrokerServer(STATE_DIR), ENV.int("CANOPY_EMBEDDED_BROKER_DATABASE", 0)
)
CELERY_IS_AMQP = CELERY_BROKER_URL.startswith(("amqp://", "amqps://", "pyamqp://"))
# Installations that share one broker tell their queues apart by this.
CELERY_QUEUE_PREFIX = ENV.str("CANOPY_QUEUE_PREFIX", "canopy")

# A chunk is bounded, so a task that runs an hour is stuck: asked to stop, then killed.
CELERY_TASK_TIME_LIMIT = 3600
CELERY_TASK_SOFT_TIME_LIMIT = 3540
# Redis and Valkey hand out again what was not acknowledged in this time: longer than any task may
# run, or healthy tasks would start twice. Dead workers are noticed sooner by the lease in the run.
VISIBILITY_TIMEOUT_SECONDS = 2 * CELERY_TASK_TIME_LIMIT

# No file, and nothing that executes code, ever comes out of a queue.
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
# Nobody waits for a result: the run's row says how far it is.
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True

# Acknowledged when done: a killed worker's message comes back, and the claim in PostgreSQL makes
# the second start harmless.
CELERY_TASK_ACKS_LATE = True
# A task that kills its worker process is tried again as often as its max_retries (3) allow, then
# given up. Rejecting alone would hand it out for ever; it is the fallback for the case that
# the retry cannot be sent.
CELERY_TASK_RETRY_ON_WORKER_LOST = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
# The new attempt comes soon: the lease of the run decides when it may begin, not Celery's 180 s.
CELERY_TASK_ANNOTATIONS = {"*": {"default_retry_delay": 2}}
# A lost broker does not stop the work: the message comes back and finds the run claimed.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
# A worker holds one message per process, so that a waiting one goes to whoever is free.
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# pandas and Arrow keep memory; a fresh process gives it back.
CELERY_WORKER_MAX_TASKS_PER_CHILD = 50
# A process that holds more after a task (in KiB) is replaced before the next one.
CELERY_WORKER_MAX_MEMORY_PER_CHILD = ENV.int("CANOPY_WORKER_MEMORY_KIB", 2_000_000)
CELERY_WORKER_CONCURRENCY = ENV.int("CANOPY_WORKER_PROCESSES", 2)
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# A publisher does not hang on a dead broker: the queued row is found by the sweep.
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 3,
    "interval_start": 0,
    "interval_step": 0.2,
    "interval_max": 0.5,
}
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(STATE_DIR / "beat-schedule")

CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any]
if CELERY_IS_AMQP:
    # A quorum queue loses what the publisher did not see confirmed.
    CELERY_BROKER_TRANSPORT_OPTIONS = {"confirm_publish": True}
else:
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
        "socket_keepalive": True,
        "health_check_interval": 30,
        "embedded_state_dir": str(STATE_DIR),
    }
# The broker, the (absent) results and the queues read three different settings.
CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS = {"visibility_timeout": VISIBILITY_TIMEOUT_SECONDS}
CELERY_VISIBILITY_TIMEOUT = VISIBILITY_TIMEOUT_SECONDS

# Everything scheduled is harmless twice (two clocks may run) and late; a message that waited is dropped.
CELERY_BEAT_SCHEDULE = {
    name: {
        "task": f"allocation.tasks.{task}",
        "schedule": seconds,
        "options": {"queue": f"{CELERY_QUEUE_PREFIX}.default", "expires": max(seconds, 2)},
    }
    for name, task, seconds in (
        ("sweep runs", "sweep_runs", 30),
        ("publish due months", "publish_due_months", 60),
        ("verify the ledger", "verify_ledger", 24 * 3600),
        ("reproduce a run", "reproduce_in_turn", 3600),
        ("drop leftovers", "drop_leftovers", 3600),
        ("sweep exports", "sweep_exports", 5),
        ("order scheduled exports", "order_scheduled_exports", 60),
        ("expire exports", "expire_exports", 3600),
    )
}

# Every worker looks so often for runs that nobody works on; 0: never, the clock alone does.
SWEEP_SECONDS = ENV.float("CANOPY_SWEEP_SECONDS", 2)

# --- Runs ------------------------------------------------------------------------------------------

# A worker gives a sign of life four times in this span; without one, another takes its run up.
ALLOCATION_LEASE_SECONDS = ENV.int("CANOPY_RUN_LEASE_SECONDS", 20)
ALLOCATION_MAX_ATTEMPTS = ENV.int("CANOPY_RUN_MAX_ATTEMPTS", 5)
ALLOCATION_KEEP_UNPUBLISHED_DAYS = ENV.int("CANOPY_KEEP_UNPUBLISHED_DAYS", 90)
# A restatement that changes any node's total by more than this needs a second operator.
ALLOCATION_APPROVAL_PPM = ENV.int("CANOPY_RESTATEMENT_APPROVAL_PPM", 50_000)

# --- Exports ---------------------------------------------------------------------------------------

# How long files are kept, and how long a link to one of them can be used.
EXPORT_KEEP_DAYS = ENV.int("CANOPY_EXPORT_KEEP_DAYS", 30)
EXPORT_LINK_SECONDS = ENV.int("CANOPY_EXPORT_LINK_SECONDS", 900)

# --- Comparing -------------------------------------------------------------------------------------

# What a unit of a service emits at a place is shown where so many tenants or more use it.
COMPARISON_MIN_TENANTS = ENV.int("CANOPY_COMPARISON_MIN_TENANTS", 3)

# --- What is told ----------------------------------------------------------------------------------

# Lines for people, JSON for machines that collect logs.
LOG_FORMAT = ENV.str("CANOPY_LOG_FORMAT", "line" if EMBEDDED else "json")
if LOG_FORMAT not in {"line", "json"}:
    raise ImproperlyConfigured("CANOPY_LOG_FORMAT is line or json")
# Where traces are sent (OTLP over HTTP); none are made without it.
OTLP_ENDPOINT = ENV.str("CANOPY_OTLP_ENDPOINT", "")
# Whoever asks for /metrics has to show it; there is no such page without it.
METRICS_TOKEN = ENV.str("CANOPY_METRICS_TOKEN", "")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"correlation": {"()": "carbon.correlation.CorrelationFilter"}},
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name} [{correlation_id}]: {message}", "style": "{"},
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "format": "{asctime} {levelname} {name} {correlation_id} {message} {process} {threadName}",
            "style": "{",
            "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
        },
    },
    # Standard error: standard output belongs to findings and exports.
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["correlation"]},
    },
    "root": {"handlers": ["stderr"], "level": ENV.log_level("CANOPY_LOG_LEVEL", logging.WARNING)},
    "loggers": {
        name: {"level": ENV.log_level("CANOPY_LOG_LEVEL", logging.INFO)}
        for name in ("accounts", "allocation", "graphql_api", "carbon", "celery")
    },
}

# --- GraphQL ---------------------------------------------------------------------------------------

# Whether those who are signed in may ask for the schema; nobody else ever may.
GRAPHQL_INTROSPECTION = ENV.bool("CANOPY_GRAPHQL_INTROSPECTION", True)

# What one user may ask through one application (or with sessions) in a minute, over all processes; 0: not counted.
GRAPHQL_REQUESTS_PER_MINUTE = ENV.int("CANOPY_REQUESTS_PER_MINUTE", 1200)
