"""What the servers serve and how it is made: data, training, export, archives, launchers."""
