"""Every setting, once, read from the environment. README.md lists the variables; a bad value stops the start with its name."""

from __future__ import annotations

from pathlib import Path

import dj_database_url
from django.utils.translation import gettext_lazy as _

from analytics.alerts import schemes as alert_schemes
from gateway_project import logs
from gateway_project.embedded.paths import Paths
from gateway_project.env import EnvError, env_bool, env_choice, env_int, env_list, env_str
from routing.egress import EgressGuard

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"

# --- Where it runs ---------------------------------------------------------------------------------------------------

DATA_DIR = Path(env_str("GATEHOUSE_DATA_DIR", str(BASE_DIR / ".gatehouse"))).expanduser().resolve()
PATHS = Paths(DATA_DIR)
HOST = env_str("GATEHOUSE_HOST", "127.0.0.1")
PORT = env_int("PORT", 8787, minimum=1, maximum=65535)
BOUND_TO_LOOPBACK = HOST in {"127.0.0.1", "::1", "localhost"}
DEBUG = False

# --- Secrets ---------------------------------------------------------------------------------------------------------


def _secret(variable: str, file: str) -> str:
    value = env_str(variable) or PATHS.secret(file)
    if not value:
        raise EnvError(f"{variable} is not set, and {DATA_DIR} has none: set it (or {variable}_FILE), or run `make up` first")
    return value


# Signs sessions and keys the hashes of API keys: changing it logs everybody out and makes every API key unknown.
SECRET_KEY = _secret("GATEHOUSE_SECRET_KEY", "secret_key")
# Comma-separated Fernet keys: the first encrypts, all decrypt.
VAULT_KEYS = tuple(key.strip() for key in _secret("GATEHOUSE_VAULT_KEYS", "vault_keys").split(",") if key.strip())

# --- The gateway -----------------------------------------------------------------------------------------------------

REQUIRE_API_KEY = env_bool("GATEHOUSE_REQUIRE_API_KEY", default=not BOUND_TO_LOOPBACK)
# Host names, addresses or networks that custom hosts may reach although they are private; see routing/egress.py.
try:
    EGRESS = EgressGuard.parse(env_list("GATEHOUSE_PRIVATE_HOSTS"))
except ValueError as error:
    raise EnvError(f"GATEHOUSE_PRIVATE_HOSTS: {error}") from error
MAX_BODY_BYTES = env_int("GATEHOUSE_MAX_BODY_BYTES", 20 * 1024 * 1024, minimum=1024)
# Files in forms and bodies of other types than JSON: what does not fit into a little memory lies on disk during its call.
MAX_UPLOAD_BYTES = env_int("GATEHOUSE_MAX_UPLOAD_BYTES", 512 * 1024 * 1024, minimum=1024**2)
UPLOAD_DIR = PATHS.uploads
# Requests and answers are kept in the log, each up to this many bytes.
LOG_CONTENT = env_bool("GATEHOUSE_LOG_CONTENT", default=True)
LOG_CONTENT_MAX_BYTES = env_int("GATEHOUSE_LOG_CONTENT_MAX_BYTES", 256 * 1024)
# Days after which the log is dropped.
LOG_RETENTION_DAYS = env_int("GATEHOUSE_LOG_RETENTION_DAYS", 30, minimum=1)
SPOOL_MAX_BYTES = env_int("GATEHOUSE_SPOOL_MAX_BYTES", 1024**3, minimum=1024**2)
# What happens to calls with limits while Redis does not answer: "open" lets them pass, "closed" refuses them.
LIMITS_FAIL = env_choice("GATEHOUSE_LIMITS_FAIL", "open", ("open", "closed"))
# What a gateway that died had reserved for its calls is given back after this long.
LIMITS_LEASE_SECONDS = env_int("GATEHOUSE_LIMITS_LEASE_SECONDS", 60, minimum=3)

# Addresses that alerts may be sent to, by the scheme of their URL; see analytics/alerts/channels.py.
ALERT_SCHEMES = frozenset(scheme.lower() for scheme in env_list("GATEHOUSE_ALERT_SCHEMES", alert_schemes.DEFAULT))

# --- Postgres and Redis ----------------------------------------------------------------------------------------------

EMBEDDED_POSTGRES = env_str("DATABASE_URL") is None
EMBEDDED_VALKEY = env_str("REDIS_URL") is None
DATABASE_URL = env_str("DATABASE_URL", PATHS.database_url)
REDIS_URL = env_str("REDIS_URL", PATHS.redis_url)

try:
    # Under ASGI each request of the console has a thread of its own, and a connection that outlived it would be nobody's: they
    # are closed with the request. Workers, whose threads live on, keep theirs (gateway_project/celery.py).
    DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_max_age=0, conn_health_checks=True)}
except (dj_database_url.ParseError, dj_database_url.UnknownSchemeError, ValueError) as error:
    raise EnvError("DATABASE_URL is not a database URL: use postgresql://user:password@host:5432/name") from error
if DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
    raise EnvError("DATABASE_URL must be a postgresql:// URL")
if not REDIS_URL.startswith(("redis://", "rediss://", "unix://")):
    raise EnvError("REDIS_URL must begin with redis://, rediss:// or unix://")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SPOOL_DIR = PATHS.spool

# --- Celery ----------------------------------------------------------------------------------------------------------

CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=", 1)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 300,
    "socket_timeout": 5,
    "socket_connect_timeout": 5,
    "global_keyprefix": "gatehouse:celery:",
}
CELERY_IMPORTS = ("analytics.alerts.tasks",)
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE: dict[str, dict[str, object]] = {
    "pulse": {"task": "gateway_project.pulse", "schedule": 10.0, "options": {"expires": 10}},
    # Both do nothing when there is nothing to do, so they run often: a machine may be off at any given hour.
    "create_partitions": {"task": "analytics.tasks.create_partitions", "schedule": 3600.0, "options": {"expires": 3600}},
    "evaluate_alerts": {"task": "analytics.alerts.evaluate", "schedule": 30.0, "options": {"expires": 30}},
    "drop_old_alerts": {"task": "analytics.alerts.drop_old_history", "schedule": 3600.0, "options": {"expires": 3600}},
    "watch_limits": {"task": "analytics.tasks.watch_limits", "schedule": 10.0, "options": {"expires": 10}},
    "reconcile_limits": {"task": "analytics.tasks.reconcile_limits", "schedule": 300.0, "options": {"expires": 300}},
    "drop_old_logs": {"task": "analytics.tasks.drop_old_logs", "schedule": 3600.0, "options": {"expires": 3600}},
}

# --- Django ----------------------------------------------------------------------------------------------------------

ALLOWED_HOSTS = [*env_list("GATEHOUSE_ALLOWED_HOSTS", ("*",))]
CSRF_TRUSTED_ORIGINS = [*env_list("GATEHOUSE_TRUSTED_ORIGINS")]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "csp",
    "keys",
    "routing",
    "analytics",
]
# The middleware of the console and the admin REST API. Model calls pass none of it: see routing/api/handler.py.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "gateway_project.urls"
ASGI_APPLICATION = "gateway_project.asgi.application"
APPEND_SLASH = False
AUTH_USER_MODEL = "keys.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "console:login"
LOGIN_REDIRECT_URL = "console:home"
LOGOUT_REDIRECT_URL = "console:login"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_COOKIES = env_bool("GATEHOUSE_SECURE_COOKIES", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_COOKIES
if env_bool("GATEHOUSE_BEHIND_TLS_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'"],
    }
}
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "keys.pages.console_context",
            ]
        },
    }
]
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = Path(env_str("GATEHOUSE_STATIC_ROOT", str(DATA_DIR / "static")))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "EXCEPTION_HANDLER": "keys.admin_auth.exception_handler",
    "UNAUTHENTICATED_USER": None,
}

# --- Language and time -----------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

LOGGING = logs.config(env_choice("GATEHOUSE_LOG_LEVEL", "info", ("debug", "info", "warning", "error")))
