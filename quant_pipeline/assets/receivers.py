"""Binding a person as a run: the code to scan stands in the run's events, and the run waits for whoever scans it."""

from typing import Any

import dagster as dg
from pydantic import Field

from quant_pipeline import settings
from quant_pipeline.assets.failures import Failed
from quant_pipeline.assets.metadata import pictured
from quant_pipeline.notify import binding
from quant_pipeline.notify.channels.pushplus import PushPlus
from quant_pipeline.notify.severity import Severity
from quant_pipeline.resources import channels
from quant_pipeline.resources.warehouse import WarehouseResource

_KEY = dg.AssetKey("receivers")


class Invited(dg.Config):
    """Who is to be bound."""

    receiver: str = Field(description="What the person is called in routes: mother 接收人名称")
    channel: str = Field("pushplus", description="The PushPlus account 用哪个 PushPlus 渠道")
    severities: list[str] = Field(
        default_factory=lambda: [each.value for each in Severity], description="Which severities are told 接收哪些级别的消息"
    )
    minutes: int = Field(binding.MINUTES, ge=1, le=60, description="For how long the code is good 二维码有效分钟数")


@dg.op(description="Shows a code, and binds the friend who scans it. 显示二维码，绑定扫码的好友")
def invite(context: dg.OpExecutionContext, config: Invited, warehouse: WarehouseResource) -> None:
    """The picture is in an event of the run (Show Markdown); it fails when nobody scanned it in time."""
    database = warehouse.database
    severities = [Severity(each) for each in config.severities if each in set(Severity)]
    with channels.opened(database, settings.load()) as found:
        account = found.channels.get(config.channel)
        if not isinstance(account, PushPlus):
            raise Failed(f"there is no PushPlus channel {config.channel!r} 没有这个 PushPlus 渠道")
        try:
            opened = binding.invite(database, account, config.receiver, severities, config.minutes)
        except binding.BindingError as error:
            raise Failed(str(error)) from None
        shown: dict[str, dg.MetadataValue[Any] | str] = {
            "扫码绑定 scan": pictured(lambda: binding.picture(opened), "QR"),
            "图片 picture": dg.MetadataValue.url(opened.picture),
            "接收人 receiver": config.receiver,
        }
        context.log_event(dg.AssetObservation(_KEY, "请用微信扫码 scan with WeChat", metadata=shown))
        person = binding.await_friend(database, account, opened)
    if person is None:
        raise Failed("nobody scanned the code in time: run it again 无人扫码，二维码已过期，请重新运行")
    context.add_output_metadata(
        {
            "接收人 receiver": person.receiver,
            "昵称 nickname": person.nickname,
            "级别 severities": ", ".join(person.severities),
            "方式 bound by": person.bound_by,
        }
    )
