"""kbsync keeps what an open-weights language model says about the world in step with Wikidata."""

__version__ = "0.1.0"
