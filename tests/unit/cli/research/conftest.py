from tests.support.bench_cli import bench
from tests.support.traced import traced

__all__ = ["bench", "traced"]
