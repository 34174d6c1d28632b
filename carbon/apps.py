"""`carbon` is an installed app only so that Django finds its management commands."""

from django.apps import AppConfig


class CarbonConfig(AppConfig):
    """The project package: settings, processes and the embedded servers; no models."""

    name = "carbon"
    verbose_name = "Canopy"
