"""What a finished mask can be turned into besides itself: smaller, sparse, ONNX; each measured against the dense model."""
