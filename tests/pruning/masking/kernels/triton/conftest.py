"""Tests in Triton's interpreter, which a process must have chosen before Triton is imported: see
``test_interpreted.py`` one folder up."""

import os

INTERPRETED = ["test_gpu_pruner.py", "test_gpu_weight_update.py", "test_topk.py", "test_allocation.py", "test_adam.py"]

collect_ignore = [] if os.environ.get("TRITON_INTERPRET") == "1" else INTERPRETED
