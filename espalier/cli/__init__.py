"""The command line ``espalier``, one file per group of commands.

Called by the console script. Most commands talk to a service over HTTP with ``espalier.client``; those that run beside a service
import its packages, and everything heavy, only when they are called. Must not import ``api`` or ``worker``: it starts them as
processes of their own.
"""
