from tests.support.alternatives_site import oslo_site
from tests.support.cli import clean_environment
from tests.support.research_bench import counterfact
from tests.support.site import new_site, random_base
from tests.support.stage_fixtures import ledger
from tests.support.traced import traced

__all__ = ["clean_environment", "counterfact", "ledger", "new_site", "oslo_site", "random_base", "traced"]
