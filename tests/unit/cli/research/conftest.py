from tests.support.alternatives_site import oslo_site
from tests.support.bench_cli import bench
from tests.support.traced import traced

__all__ = ["bench", "oslo_site", "traced"]
