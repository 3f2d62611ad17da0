"""From trained networks and fitted transformers to the files that servers load."""
