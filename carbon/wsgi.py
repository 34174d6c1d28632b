"""The WSGI application, for servers that know no ASGI; GraphQL then has a loop per request."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carbon.settings")
django.setup(set_prefix=False)

from django.core.handlers.wsgi import WSGIHandler  # noqa: E402 middleware can be imported only now

from carbon.tracing import start_tracing  # noqa: E402 it asks the settings

start_tracing("api")  # it adds a middleware, so it comes before the handler
application = WSGIHandler()
