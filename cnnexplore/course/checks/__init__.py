"""The checks of each lab, one file per lab; a file is imported when one of its questions is checked."""
