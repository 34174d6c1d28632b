"""The ASGI application: `uvicorn carbon.asgi:application`."""

import gc
import os
from importlib import import_module

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carbon.settings")
os.environ.setdefault("CANOPY_POOL_CONNECTIONS", "8")
django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402 they can be read only now

from carbon.handler import Handler  # noqa: E402 middleware can be imported only now
from carbon.tracing import start_tracing  # noqa: E402 it asks the settings

start_tracing("api")  # it adds a middleware, so it comes before the handler
application = Handler()

# What is loaded by now stays as long as the process. Left among what may be garbage, it is walked through again and
# again: a tenth of the time of an answer, in pauses that come at once (docs/performance.md).
import_module(settings.ROOT_URLCONF)
gc.collect()
gc.freeze()
