"""Access: API keys, stored secrets, storage quotas, idempotent responses.

Called by the API for each request and by the worker for hub tokens and quotas. Imports the database and the settings; must not
import jobs, artifacts or webhooks.
"""
