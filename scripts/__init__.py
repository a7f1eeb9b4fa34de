"""Tools of the repository, run by hand with ``python -m scripts.NAME``: generated pages and the generated synchronous client.

In no wheel, and imported by tests only, which check that what was generated is up to date.
"""
