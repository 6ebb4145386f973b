"""Architectures that can be built: the papers', torchvision's, HOG and dense SIFT."""
