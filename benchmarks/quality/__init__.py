"""Quality benchmark: recipes × tasks × sparsities × budgets × seeds, one JSON line for each run, a page and a figure of them.

``python -m benchmarks.quality run`` fills the rows (:mod:`benchmarks.quality.scheduler` starts one process for each run, in which
:mod:`benchmarks.quality.one_run` trains and evaluates), ``python -m benchmarks.quality table`` writes what they say. Recipes of the
project are trained by its own entry point; rivals (:mod:`benchmarks.quality.rivals`) see the same rows in the same order and are
evaluated by the same code.
"""
