from tests.support.wikidata_fixtures import oxigraph

__all__ = ["oxigraph"]
