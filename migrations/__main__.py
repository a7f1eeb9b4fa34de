"""``python -m migrations``: bring the database that the environment names to the schema of this version.

A step of its own in production, before API and workers start; any number may run at once. ``espalier serve`` does the same.
"""

import sys

from service.db.migrate import SCHEMA_NEWER_EXIT_CODE, SchemaNewerError, upgrade
from service.environment import settings_or_exit


def main() -> None:
    """Migrate; a database of a later version ends the process with one line and a code of its own."""
    try:
        upgrade(settings_or_exit().database_url)
    except SchemaNewerError as error:
        print(f"espalier: {error}", file=sys.stderr)
        sys.exit(SCHEMA_NEWER_EXIT_CODE)


if __name__ == "__main__":
    main()
