"""What leaves the house: model folders, ONNX."""
