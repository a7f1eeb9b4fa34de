"""Generator of the shipped model and data set: a grammar of labelled reviews, a tokenizer, masked language model pretraining.

Called by ``python -m demo.make.build``, and by tests, which compare what is generated with what ships. Imports nothing else of
this project.
"""
