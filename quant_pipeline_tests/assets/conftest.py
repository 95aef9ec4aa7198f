from quant_pipeline_tests.assets.platform import exchange, platform
from quant_pipeline_tests.exports.conftest import bucket, s3

__all__ = ["bucket", "exchange", "platform", "s3"]
