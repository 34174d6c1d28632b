"""`carbon` is an installed app for its management commands, and to load Celery with Django."""

from allauth.account.apps import AccountConfig
from django.apps import AppConfig


class CarbonConfig(AppConfig):
    """The project package: settings, processes and the embedded servers; no models."""

    name = "carbon"
    verbose_name = "Canopy"

    def ready(self) -> None:
        """Make our Celery application the current one, so that tasks are sent to our broker."""
        import carbon.celery  # noqa: PLC0415 imported for its effect, after the apps are there
        import carbon.correlation  # noqa: PLC0415 imported for its signals
        import carbon.tracing  # noqa: F401, PLC0415 imported for its signals


class EmailAddressesConfig(AccountConfig):  # type: ignore[misc] # allauth has no types
    """The email addresses that identity providers vouched for; in the admin "Accounts" are those of the cloud."""

    default = False
    verbose_name = "Email addresses of logins"
