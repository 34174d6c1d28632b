"""The ASGI application: `uvicorn carbon.asgi:application`."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carbon.settings")
os.environ.setdefault("CANOPY_POOL_CONNECTIONS", "8")
django.setup(set_prefix=False)

from carbon.handler import Handler  # noqa: E402 middleware can be imported only now
from carbon.tracing import start_tracing  # noqa: E402 it asks the settings

start_tracing("api")  # it adds a middleware, so it comes before the handler
application = Handler()
