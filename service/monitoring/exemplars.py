"""Exemplars of histograms: the id of the trace that an observation was made in, by which a slow request is found among traces.

Called where a histogram is observed. Only the OpenMetrics format has exemplars; Prometheus asks for it by itself.
"""

import re

from service.tracing import spans

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?")
_NO_TRACE = "0" * 32
_SAMPLED = 0x01


def current_exemplar(received: str | None = None) -> dict[str, str] | None:
    """Labels of the exemplar of an observation made now; None outside of a trace, and in one that is not recorded.

    ``received``: the ``traceparent`` header of the request, which says so where this process does not trace itself.
    """
    context = spans.current_context()
    traceparent = received if context is None else context.get("traceparent")
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if found is None or found[1] == _NO_TRACE or not int(found[2], 16) & _SAMPLED:
        return None
    return {"trace_id": found[1]}
