"""The live layer: runs in threads, streams of frames, the shared selection."""
