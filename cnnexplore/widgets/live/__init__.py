"""What panels need to stay live: runners, streams of frames, open views, the shared selection."""
