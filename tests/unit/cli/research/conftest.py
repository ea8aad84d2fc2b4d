from tests.support.bench_cli import bench

__all__ = ["bench"]
