"""The one client for outside services (robots, SMS, push, maps …): an adapter each, called alike, watched alike."""

from quant_pipeline.services.adapter import Adapter, Setup
from quant_pipeline.services.client import Answered, Call, by_code
from quant_pipeline.services.result import Result, done, refused
from quant_pipeline.sources.failures import FailureClass

__all__ = ["Adapter", "Answered", "Call", "FailureClass", "Result", "Setup", "by_code", "done", "refused"]
