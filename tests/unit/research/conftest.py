from tests.support.cli import clean_environment
from tests.support.research_bench import counterfact
from tests.support.traced import traced

__all__ = ["clean_environment", "counterfact", "traced"]
