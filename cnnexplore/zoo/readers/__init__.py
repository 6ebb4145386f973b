"""Weights files: .safetensors, .pth and MatConvNet's .mat. Nothing in a file is executed."""
