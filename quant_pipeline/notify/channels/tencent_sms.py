"""SMS over Tencent Cloud."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field, SecretStr

from quant_pipeline.notify.channels.http_channel import secret
from quant_pipeline.notify.channels.sms import SmsChannel, SmsSettings
from quant_pipeline.notify.messages import Message
from quant_pipeline.services.adapter import Setup
from quant_pipeline.services.result import Result
from quant_pipeline.services.tencent_sms import TencentSms

if TYPE_CHECKING:
    from quant_pipeline.sources.limiter import Limiter


class Settings(SmsSettings):
    secret_id: SecretStr = Field(description="SecretId of the account")
    secret_key: SecretStr = Field(description="SecretKey of the account")
    app_id: str = Field(description="SdkAppId of the SMS application")
    region: str = "ap-guangzhou"


class TencentSmsChannel(SmsChannel):
    """An SMS application of Tencent Cloud."""

    kind = "tencent_sms"
    settings_type = Settings

    def __init__(self, name: str, settings: Settings, limiter: Limiter | None = None) -> None:
        super().__init__(name, settings, limiter)
        options = {
            "secret_id": secret(settings.secret_id),
            "secret_key": secret(settings.secret_key),
            "app_id": settings.app_id,
            "sign_name": settings.sign_name,
            "region": settings.region,
        }
        setup = Setup(name, "sms", "tencent", url=settings.url, options=options)
        self._service = TencentSms(setup, limiter, self.client.policy)

    def handed_over(self, message: Message) -> Result:
        phones = [each if each.startswith("+") else f"+86{each}" for each in self.settings.phones]
        values = [value for _, value in self.filled(message)]
        result = self._service.send_sms(phones, self.settings.template, values)
        return replace(result, data=self.receipt(result.data)) if result.success else result

    def asked(self, phone: str, serial: str) -> Result:
        return self._service.query_sms_status(phone, serial)


CHANNEL = TencentSmsChannel
