"""A new user's walk: from the wheel in an empty virtual environment, by the commands of docs/tutorial/own-model.md
alone, to a promoted version. ``make newcomer`` runs it."""
