"""The texts of one site, each read when it is first asked for."""

from __future__ import annotations

from functools import cached_property

from kbsync.config.settings import Settings
from kbsync.ports import Work


class SiteTexts:
    """The part of the application that has the texts."""

    settings: Settings
    work: Work

    @cached_property
    def corpus(self) -> list[str]:
        """Texts for the key covariance; empty: the model samples its own."""
        from kbsync.text import site_texts

        return site_texts.corpus(self.settings.text, self.settings.state_dir / "texts", self.work)

    @cached_property
    def held_out(self) -> list[str]:
        """Texts for the perplexity."""
        from kbsync.text import site_texts

        return site_texts.held_out(self.settings.text)

    @cached_property
    def neutral(self) -> list[str]:
        """Beginnings of sentences that an edit should leave alone, for the divergence from the base."""
        from kbsync.text import shipped

        return shipped.neutral()[: self.settings.gate.neutral]
