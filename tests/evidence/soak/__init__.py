"""The soak: a month of the real daemon in minutes, while everything around it fails. ``make soak`` runs it."""
