"""Tracing with OpenTelemetry: spans of requests, attempts and webhooks, sent to a collector over OTLP.

On where ``ESPALIER_OTLP_ENDPOINT`` is set. Started by ``api.app`` and ``worker.app``, used by all code that begins spans or stores
a trace context. Must not import anything else of ``service``.
"""
