"""A generator as one HTML file that draws without a network: the model as ONNX, the runtime, and the explorer's page."""
