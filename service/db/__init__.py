"""Database: engine and transactions, migrations, the database's clock, page cursors and the tables.

Used by everything in ``service``; imports only ids, states, errors and URLs.
"""
