"""Where the bytes of artifacts lie: chunks in the database, or objects in an S3-compatible store.

``places.py`` is the choice between the two, ``bucket.py`` the only file that talks to the store, ``orphans.py`` what is
cleared away there. Rows in the database decide what exists; an object that no row names is nothing.
"""
