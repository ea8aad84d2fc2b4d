from tests.support.cli import clean_environment
from tests.support.research_bench import counterfact

__all__ = ["clean_environment", "counterfact"]
