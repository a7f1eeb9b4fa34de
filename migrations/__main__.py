"""``python -m migrations``: bring the database that the environment names to the schema of this version.

A step of its own in production, before API and workers start; any number may run at once. ``espalier serve`` does the same.
"""

from service.db.migrate import upgrade
from service.environment import settings_or_exit

if __name__ == "__main__":
    upgrade(settings_or_exit().database_url)
