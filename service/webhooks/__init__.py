"""Webhooks: subscriptions with their secrets, delivery state of messages, and SSRF protection of URLs.

Called by the API, and by ``worker.webhooks``, which sends the messages. ``service.jobs.status_messages`` writes them, so nothing
here imports ``service.jobs``.
"""
