"""The contestants, a file each: how one is installed, started and asked, and how it answers."""
