"""Report of a run: figures from masks and predictions, and the page ``report.html`` that shows them, made of
``templates/`` and ``static/``.

Called by :mod:`pruning.training`, which it must not import: everything arrives as plain values (the dictionary that
``report.json`` holds). Only :mod:`pruning.report.analysis` needs torch.
"""
