"""The pruning spec: fields, tasks, methods, presets, validation rules, export formats. Torch-free.

The API imports it to refuse bad input before any work is done, the command line to describe it, the trainer to run it. Imports
pydantic and nothing else of ``pruning``.
"""
