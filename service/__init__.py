"""State and rules of the service, shared by API and worker: settings, tables, state machine, artifacts, webhooks, quotas.

``api`` and ``worker`` call it; so does the command line, to start and inspect a service. Specs are JSON here: only the failpoints
of ``pruning`` are imported. Must not import ``api``, ``worker``, ``espalier``, FastAPI or torch.
"""
