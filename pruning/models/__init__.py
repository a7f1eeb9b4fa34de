"""Models: checks of their folders, loading, heads for a task, and faster forward passes that change no result.

``checks`` and ``label_words`` are torch-free: the API calls them before a job is accepted. The rest is called by training,
exports and predictions. Imports ``hub`` for names and ``masking.kernels`` for dropout; never data, methods or training.
"""
