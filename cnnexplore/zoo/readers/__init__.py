"""Readers of weights files: safetensors, PyTorch's .pth, MatConvNet's .mat."""
