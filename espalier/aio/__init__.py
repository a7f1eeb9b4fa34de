"""The client as it is written: asynchronous. ``python -m espalier.twin`` makes the synchronous modules beside this package
from the modules in it (all but ``waiting``), word by word, and a test compares; so both always do the same.
"""
