"""Rivals of the quality benchmark: training of the dense model in the ways that users know, on the same rows in the same order.

Each file is one rival. They read rows, order batches and evaluate by the project's code, and train by plain PyTorch, ``peft`` or
scikit-learn, as their users would. Methods of the project that train weights (magnitude, movement) are recipes, not here.
"""
