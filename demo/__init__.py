"""Demonstration kit: a small pretrained language model and review set that the repository makes itself."""
