"""The client as it is written: asynchronous. ``python -m scripts.unasync`` makes the synchronous modules beside this package
from the modules in it (all but ``waiting``), word by word, and a test compares; so both always do the same.
"""
