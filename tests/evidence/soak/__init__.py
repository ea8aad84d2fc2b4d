"""The soak: a month of the daemon in minutes, while everything around it fails."""
