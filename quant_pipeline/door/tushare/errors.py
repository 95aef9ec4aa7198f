"""What is refused, in Tushare's own words: callers tell refusals apart by their texts, for the client drops the codes."""

from __future__ import annotations

from typing import Final

WRONG_TOKEN: Final = 40101
NO_RIGHT: Final = 2002
TOO_MANY: Final = 40203
WRONG_REQUEST: Final = -2001
FAILED: Final = 50101


class Refusal(Exception):
    """A call that gets no rows. It goes out as HTTP 200 with its code: of any other status the client makes an empty frame
    and says nothing."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


def wrong_token() -> Refusal:
    return Refusal(
        WRONG_TOKEN,
        "您的token不对，请确认。这里的 token 由 `quant-pipeline serve token add NAME` 生成，不是 Tushare 官网的。"
        "The token is not one of this server's.",
    )


def no_right(name: str, needed: str) -> Refusal:
    return Refusal(NO_RIGHT, f"抱歉，您没有接口访问权限：token“{name}”的范围不含 {needed}。This token may not do that.")


def too_many(per_minute: int) -> Refusal:
    return Refusal(TOO_MANY, f"抱歉，您每分钟最多访问该接口{per_minute}次。This token's own limit: wait for the next minute.")


def wrong_parameter(text: str) -> Refusal:
    return Refusal(WRONG_REQUEST, f"参数校验失败，{text}")


def not_held(text: str) -> Refusal:
    """What the database does not hold, and how to get it."""
    return Refusal(NO_RIGHT, text)


def failed(text: str) -> Refusal:
    return Refusal(FAILED, f"系统内部错误，请稍后再试：{text}")
