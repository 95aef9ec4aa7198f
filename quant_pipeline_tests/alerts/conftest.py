from quant_pipeline_tests.assets.platform import exchange, platform

__all__ = ["exchange", "platform"]
