"""The inbox: the messages as the phone would show them, on a page that says what they are."""

from __future__ import annotations

import html
from collections.abc import Sequence

from markdown_it import MarkdownIt

from quant_pipeline.sandbox.servers.pushplus_server import Message

_PAGE = """<!DOCTYPE html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>SANDBOX 沙盒 · 收件箱</title>
<style>
body {{ margin: 0 auto; max-width: 30rem; padding: 1rem; background: #ededed; color: #1f1f1f;
       font: 16px/1.5 -apple-system, "PingFang SC", "Noto Sans CJK SC", "Microsoft YaHei", sans-serif; }}
header {{ background: #8a5a00; color: #fff; border-radius: .6rem; padding: .5rem .9rem; margin-bottom: 1rem; }}
header b {{ letter-spacing: .08em; }}
article {{ background: #fff; border-radius: .6rem; padding: .8rem .9rem; margin-bottom: .9rem; }}
h2 {{ font-size: 1.05rem; margin: 0; }}
time {{ color: #767676; font-size: .8rem; }}
iframe {{ border: 0; width: 100%; height: {height}px; margin-top: .5rem; }}
</style>
</head>
<body>
<header><b>SANDBOX 沙盒</b><br>微信、群机器人、短信：以下均为模拟消息，行情为虚构。Made-up messages and prices.</header>
{messages}
</body>
</html>
"""
_CONTENT_STYLE = (
    "<meta charset='utf-8'><style>body{margin:0;font:15px/1.5 -apple-system,'PingFang SC','Noto Sans CJK SC',"
    "'Microsoft YaHei',sans-serif}table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ddd;"
    "padding:.2rem .4rem;text-align:left}pre{white-space:pre-wrap;font:inherit}</style>"
)
CHANNELS = {
    "pushplus": "微信 · pushplus",
    "wecom": "企业微信群机器人",
    "dingtalk": "钉钉机器人",
    "feishu": "飞书机器人",
    "serverchan": "Server酱",
    "bark": "Bark",
    "telegram": "Telegram",
    "webhook": "Webhook",
    "tencent_sms": "短信 · 腾讯云",
    "aliyun_sms": "短信 · 阿里云",
}
"""The services as the inbox names them."""
_STATES = {1: "发送中", 2: "已送达", 3: "发送失败"}


def page(messages: Sequence[Message]) -> str:
    """The inbox as HTML, newest message first. Contents stand in frames that may run no scripts."""
    articles = [_article(message) for message in reversed(messages)]
    return _PAGE.format(messages="\n".join(articles) or "<article>还没有消息 · No messages yet</article>", height=360)


def rendered(message: Message) -> str:
    """A message's content as HTML by its template: html as it is, markdown rendered, anything else as plain text."""
    match message.template:
        case "html":
            return message.content
        case "markdown":
            return str(MarkdownIt("commonmark", {"html": False}).enable("table").render(message.content))
    return f"<pre>{html.escape(message.content)}</pre>"


def _article(message: Message) -> str:
    content = html.escape(_CONTENT_STYLE + rendered(message), quote=True)
    title = html.escape(message.title or "（无标题）")
    to = f" → {html.escape(message.to)}" if message.to else ""
    channel = CHANNELS.get(message.channel, message.channel)
    state = _STATES[message.status]
    return (
        f"<article><h2>{title}</h2><time>{html.escape(channel)}{to} · {html.escape(message.time)} · {state}</time>"
        f'<iframe sandbox title="{title}" srcdoc="{content}"></iframe></article>'
    )
