#!/usr/bin/env python
"""Django's command line for Canopy."""

import os
import sys


def main() -> None:
    """Run one management command with the settings of `carbon`."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carbon.settings")
    from django.core.management import execute_from_command_line  # noqa: PLC0415 settings first

    from carbon.memory import limit_memory  # noqa: PLC0415 as above

    limit_memory()
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
