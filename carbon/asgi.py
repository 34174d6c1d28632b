"""The ASGI application: `uvicorn carbon.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carbon.settings")

application = get_asgi_application()
