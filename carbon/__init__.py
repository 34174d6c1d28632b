"""The Django project: the composition root, which nobody imports."""

from carbon.celery import app as celery_app

__all__ = ["celery_app"]
