"""SMS over Aliyun. Its templates' variables have names: write `variables = ["name=title"]`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field, SecretStr

from quant_pipeline.notify.channels.http_channel import secret
from quant_pipeline.notify.channels.sms import SmsChannel, SmsSettings
from quant_pipeline.notify.messages import Message
from quant_pipeline.services.adapter import Setup
from quant_pipeline.services.aliyun_sms import AliyunSms
from quant_pipeline.services.result import Result

if TYPE_CHECKING:
    from quant_pipeline.sources.limiter import Limiter


class Settings(SmsSettings):
    key_id: SecretStr = Field(description="AccessKey ID of the account")
    key_secret: SecretStr = Field(description="AccessKey secret of the account")


class AliyunSmsChannel(SmsChannel):
    """An account of Aliyun SMS."""

    kind = "aliyun_sms"
    settings_type = Settings

    def __init__(self, name: str, settings: Settings, limiter: Limiter | None = None) -> None:
        super().__init__(name, settings, limiter)
        options = {
            "key_id": secret(settings.key_id),
            "key_secret": secret(settings.key_secret),
            "sign_name": settings.sign_name,
        }
        setup = Setup(name, "sms", "aliyun", url=settings.url, options=options)
        self._service = AliyunSms(setup, limiter, self.client.policy)

    def handed_over(self, message: Message) -> Result:
        phones = [each.removeprefix("+86") for each in self.settings.phones]
        result = self._service.send_sms(phones, self.settings.template, dict(self.filled(message)))
        return replace(result, data=self.receipt(result.data)) if result.success else result

    def asked(self, phone: str, serial: str) -> Result:
        return self._service.query_sms_status(phone, serial)


CHANNEL = AliyunSmsChannel
