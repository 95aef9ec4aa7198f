"""The signers give the very signatures that stand in the vendors' documents."""

from __future__ import annotations

import datetime as dt

from quant_pipeline.services import aliyun_signature, tencent_signature


def test_tencent_s_is_that_of_its_document() -> None:
    """https://cloud.tencent.com/document/api/213/30654, whose keys are these stars."""
    headers = tencent_signature.headers(
        secret_id="AKID" + "*" * 32,
        secret_key="*" * 32,
        service="cvm",
        host="cvm.tencentcloudapi.com",
        action="DescribeInstances",
        version="2017-03-12",
        region="ap-guangzhou",
        body=b'{"Limit": 1, "Filters": [{"Values": ["\\u672a\\u547d\\u540d"], "Name": "instance-name"}]}',
        now=dt.datetime.fromtimestamp(1551113065, dt.UTC),
    )
    known = "10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f"
    assert headers["Authorization"].endswith(f"SignedHeaders=content-type;host;x-tc-action, Signature={known}")
    assert headers["X-TC-Timestamp"] == "1551113065"


def test_aliyun_s_is_that_of_its_document() -> None:
    """https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature, with its fixed parameters."""
    headers = aliyun_signature.headers(
        key_id="YourAccessKeyId",
        key_secret="YourAccessKeySecret",
        host="ecs.cn-shanghai.aliyuncs.com",
        action="RunInstances",
        version="2014-05-26",
        parameters={"ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd", "RegionId": "cn-shanghai"},
        nonce="3156853299f313e23d1673dc12e1703d",
        now=dt.datetime(2023, 10, 26, 10, 22, 32, tzinfo=dt.UTC),
    )
    known = "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    assert headers["Authorization"].endswith(f"Signature={known}")


def test_aliyun_s_parameters_are_encoded_once() -> None:
    assert aliyun_signature.query_of({"b": "沙盒 *~", "a": "+"}) == "a=%2B&b=%E6%B2%99%E7%9B%92%20%2A~"
