"""Command line ``espalier``, one module per group of commands.

Called by the console script. Most commands talk to a service over HTTP with ``espalier.client``; those that run on the machine
of a service import its packages, and everything heavy, only when they are called. Must not import ``api`` or ``worker``: it starts
them as processes of their own.
"""
