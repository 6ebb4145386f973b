"""Training of the networks that ship with the package (`cnnexplore train`)."""
