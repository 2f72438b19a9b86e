"""Exports: a model as ONNX, a run as an HTML report."""
