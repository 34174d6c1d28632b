"""The WSGI application, for servers that know no ASGI; GraphQL then has a loop per request."""

import os

from django.core.wsgi import get_wsgi_application

from carbon.tracing import start_tracing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carbon.settings")

application = get_wsgi_application()
start_tracing("api")
