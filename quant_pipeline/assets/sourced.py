"""Every data set that comes from a source, as an asset: the group, like all else, is the spec's."""

from quant_pipeline.assets.checks import dataset_checks
from quant_pipeline.assets.dataset_asset import dataset_asset
from quant_pipeline.market.datasets import SOURCED

ASSETS = [dataset_asset(dataset) for dataset in SOURCED.values()]
CHECKS = [dataset_checks(dataset) for dataset in SOURCED.values()]
