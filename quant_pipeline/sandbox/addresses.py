"""Where a sandbox listens, and the variables that point a pipeline at it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from quant_pipeline.sandbox.servers import (
    pushplus_server,
    quote_sites,
    robots_server,
    sms_server,
    ths_api_server,
    ths_groups_server,
    ths_login_server,
    tushare_server,
)

HOST = "127.0.0.1"
TOKEN = "sandbox-token"
SECRET = "sandbox-secret"


@dataclass(frozen=True)
class Addresses:
    """Where a sandbox listens, and what to show at its doors."""

    port: int
    baostock_port: int
    proxy_port: int
    ca_file: str
    """Certificate of the authority that the proxy's sites are signed by."""
    control_token: str = field(default="", repr=False)
    """What the control endpoint wants to be shown."""

    host = HOST
    token = TOKEN
    pushplus_token = TOKEN
    pushplus_secret = SECRET

    @property
    def control_url(self) -> str:
        """The control endpoint; the inbox is at `/` of the same server."""
        return f"http://{HOST}:{self.port}/control"

    @property
    def control_headers(self) -> dict[str, str]:
        """The headers of an order."""
        return {"Authorization": f"Bearer {self.control_token}"}

    @property
    def inbox_url(self) -> str:
        return f"http://{HOST}:{self.port}/"

    @property
    def tushare_url(self) -> str:
        return f"http://{HOST}:{self.port}{tushare_server.PREFIX}"

    @property
    def pushplus_url(self) -> str:
        return f"http://{HOST}:{self.port}{pushplus_server.PREFIX}"

    def robot_url(self, kind: str) -> str:
        """The address that stands for a robot's service."""
        return f"http://{HOST}:{self.port}{robots_server.PREFIX}/{kind}"

    def channels(self) -> dict[str, dict[str, Any]]:
        """Kind of channel -> the lines of a table `[channels.NAME]` with which it speaks to this sandbox."""
        signed = {"token": TOKEN, "secret": robots_server.SECRET}
        sms = {"template": "sandbox-template", "sign_name": "沙盒"}
        keys = {"key_id": sms_server.KEY_ID, "key_secret": sms_server.KEY_SECRET}
        lines: dict[str, dict[str, Any]] = {
            "wecom": {"key": TOKEN},
            "dingtalk": signed,
            "feishu": signed,
            "serverchan": {"key": TOKEN},
            "bark": {"key": TOKEN},
            "telegram": {"token": TOKEN, "chat": "sandbox-chat"},
            "webhook": {"secret": robots_server.SECRET, "allow_private": True},
            "tencent_sms": {**sms, "secret_id": sms_server.KEY_ID, "secret_key": sms_server.KEY_SECRET, "app_id": "1400"},
            "aliyun_sms": {**sms, **keys, "variables": ["name=title"]},
        }
        robots = {kind: {**own, "url": self.robot_url(kind)} for kind, own in lines.items()}
        return {**robots, "pushplus": {"token": TOKEN, "secret_key": SECRET, "url": self.pushplus_url}}

    @property
    def ths_api_url(self) -> str:
        return f"http://{HOST}:{self.port}{ths_api_server.PREFIX}"

    @property
    def ths_upass_url(self) -> str:
        return f"http://{HOST}:{self.port}{ths_login_server.UPASS}"

    @property
    def ths_auth_url(self) -> str:
        return f"http://{HOST}:{self.port}{ths_login_server.AUTH}"

    @property
    def ths_ugc_url(self) -> str:
        return f"http://{HOST}:{self.port}{ths_groups_server.UGC_PREFIX}"

    @property
    def ths_t_url(self) -> str:
        return f"http://{HOST}:{self.port}{ths_groups_server.T_PREFIX}"

    @property
    def tencent_quotes_url(self) -> str:
        return f"http://{HOST}:{self.port}{quote_sites.TENCENT}"

    @property
    def tencent_ranks_url(self) -> str:
        return f"http://{HOST}:{self.port}{quote_sites.RANKS}"

    @property
    def sina_quotes_url(self) -> str:
        return f"http://{HOST}:{self.port}{quote_sites.SINA}"

    def environment(self) -> dict[str, str]:
        """The variables that point a pipeline at this sandbox."""
        return {
            "TUSHARE_URL": self.tushare_url,
            "TUSHARE_TOKEN": self.token,
            "PUSHPLUS_URL": self.pushplus_url,
            "PUSHPLUS_TOKEN": self.pushplus_token,
            "PUSHPLUS_SECRET_KEY": self.pushplus_secret,
            "THS_API_URL": self.ths_api_url,
            "THS_API_KEY": self.token,
            "THS_UPASS_URL": self.ths_upass_url,
            "THS_AUTH_URL": self.ths_auth_url,
            "THS_UGC_URL": self.ths_ugc_url,
            "THS_T_URL": self.ths_t_url,
            "TENCENT_QUOTES_URL": self.tencent_quotes_url,
            "TENCENT_RANKS_URL": self.tencent_ranks_url,
            "SINA_QUOTES_URL": self.sina_quotes_url,
            "BAOSTOCK_HOST": HOST,
            "BAOSTOCK_PORT": str(self.baostock_port),
            **self.web_environment(),
        }

    def web_environment(self) -> dict[str, str]:
        """The variables with which AKShare finds the sandbox's web sites."""
        proxy = f"http://{HOST}:{self.proxy_port}"
        return {
            **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), proxy),
            **dict.fromkeys(("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"), self.ca_file),
            "NO_PROXY": f"localhost,{HOST}",
        }
