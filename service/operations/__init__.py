"""Operations: retention of old jobs, and the statistics that monitoring scrapes.

``retention`` is called by the worker's garbage collector, ``statistics`` by the API's ``/metrics``. May import any other package of
``service``; none may import it.
"""
