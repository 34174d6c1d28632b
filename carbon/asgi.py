"""The ASGI application: `uvicorn carbon.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

from carbon.tracing import start_tracing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carbon.settings")

application = get_asgi_application()
start_tracing("api")
