"""State and rules of the service, shared by API and worker: settings, tables, state machine, artifacts, webhooks, quotas.

``api`` and ``worker`` call it; so does the command line, to start and inspect a service. Specs are JSON here: of ``pruning`` only
the failpoints are imported. Must not import ``api``, ``worker``, ``espalier``, FastAPI or torch.
"""
