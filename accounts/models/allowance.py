"""How many requests somebody may still send."""

from django.db import models


class RequestAllowance(models.Model):
    """The allowance of one asker, as the instant at which it will be whole again; in the past: it is whole.

    The table is not logged: a crash of the database forgets what was used up, which nobody misses.
    """

    asker = models.CharField(max_length=80, primary_key=True)
    full_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.asker
