"""HTTP requests with a minute for each answer, for services in other processes: a loaded machine may need more than httpx's 5 s."""

from functools import partial

import httpx

SECONDS = 60.0
"""For clients of tests' own."""
get = partial(httpx.get, timeout=SECONDS)
post = partial(httpx.post, timeout=SECONDS)
request = partial(httpx.request, timeout=SECONDS)
