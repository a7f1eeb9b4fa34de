"""Example of a pruning method in another package; ``info`` is what the API reads, ``masks`` what the trainer runs."""
