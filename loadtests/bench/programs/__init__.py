"""What runs in opponents' environments; nothing here may import anything of this project."""
