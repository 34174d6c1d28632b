"""The ASGI application: `uvicorn carbon.asgi:application`."""

import os
from importlib import import_module

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carbon.settings")
os.environ.setdefault("CANOPY_POOL_CONNECTIONS", "8")
django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402 they can be read only now

from carbon.handler import Handler  # noqa: E402 middleware can be imported only now
from carbon.memory import keep_loaded  # noqa: E402 it reads the environment
from carbon.tracing import start_tracing  # noqa: E402 it asks the settings

start_tracing("api")  # it adds a middleware, so it comes before the handler
application = Handler()

import_module(settings.ROOT_URLCONF)
keep_loaded()
