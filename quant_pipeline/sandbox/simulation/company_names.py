"""Made-up company names, with the pinyin initials that Tushare's `cnspell` gives."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_FIRST = (
    "华h金j中z东d海h天t国g新x安a宏h恒h瑞r利l嘉j泰t隆l盛s永y兴x广g长c大d南n北b西x江j山s云y星x润r信x诚c创c达d凯k博b"
    "科k正z方f联l同t德d鼎d福f鸿h铭m宝b百b普p圣s三s万w紫z青q蓝l银y美m景j柏b佰b睿r元y鹏p"
)
_SECOND = (
    "远y瑞r源y丰f通t达d康k宇y泽z辰c鑫x特t晟s澜l奥a邦b悦y川c威w诺n力l成c和h舟z尚s拓t博b迅x亚y立l晶j昌c岳y芯x维w佳j"
    "森s腾t骏j朗l恩e启q航h峰f洋y帆f铂b睿r卓z曜y屹y诚c"
)
_SHARED_ENDINGS = ("股份gf", "集团jt")

INDUSTRIES: tuple[tuple[str, tuple[str, str]], ...] = (
    ("银行", ("银行yh", "商行sh")),
    ("证券", ("证券zq", "投资tz")),
    ("软件服务", ("软件rj", "数据sj")),
    ("半导体", ("微电wd", "半导bd")),
    ("元器件", ("电子dz", "精密jm")),
    ("通信设备", ("通信tx", "光电gd")),
    ("电气设备", ("电气dq", "能源ny")),
    ("专用机械", ("智能zn", "重工zg")),
    ("汽车配件", ("汽配qp", "车业cy")),
    ("化工原料", ("化工hg", "新材xc")),
    ("化学制药", ("药业yy", "医药yy")),
    ("医疗保健", ("医疗yl", "健康jk")),
    ("生物制药", ("生物sw", "基因jy")),
    ("食品", ("食品sp", "乳业ry")),
    ("白酒", ("酒业jy", "酿酒nj")),
    ("家用电器", ("电器dq", "家居jj")),
    ("服饰", ("服饰fs", "纺织fz")),
    ("建筑工程", ("建设js", "工程gc")),
    ("区域地产", ("地产dc", "置业zy")),
    ("普钢", ("钢铁gt", "特钢tg")),
    ("小金属", ("稀土xt", "矿业ky")),
    ("煤炭开采", ("煤业my", "焦煤jm")),
    ("火力发电", ("电力dl", "热电rd")),
    ("环境保护", ("环保hb", "水务sw")),
    ("仓储物流", ("物流wl", "供应gy")),
    ("农业综合", ("农业ny", "种业zy")),
    ("影视音像", ("传媒cm", "文化wh")),
    ("百货", ("百货bh", "商城sc")),
)
"""Tushare's industry names, each with the endings of its companies' names (two characters and their initials)."""

AREAS = (
    *("浙江", "江苏", "北京", "广东", "上海", "深圳", "山东", "安徽", "四川", "福建", "湖北"),
    *("湖南", "河南", "江西", "陕西", "河北", "辽宁", "重庆", "天津", "新疆", "吉林", "广西"),
    *("山西", "云南", "黑龙江", "甘肃", "贵州", "内蒙", "海南", "西藏", "宁夏", "青海"),
)


def _syllables(text: str) -> list[tuple[str, str]]:
    return list(zip(text[::2], text[1::2], strict=True))


def make(generator: np.random.Generator, industry: npt.NDArray[np.int64]) -> tuple[list[str], list[str]]:
    """A name of four characters for each entry of `industry` (a place in INDUSTRIES), all different; its initials."""
    stems = [(a + b, x + y) for a, x in _syllables(_FIRST) for b, y in _syllables(_SECOND) if a != b]
    draws = generator.permutation(4 * len(stems))[: len(industry)]
    if len(draws) < len(industry):
        raise ValueError(f"there are only {4 * len(stems)} company names, not {len(industry)}")
    names, initials = [], []
    for draw, branch in zip(draws.tolist(), industry.tolist(), strict=True):
        stem, spelled = stems[draw // 4]
        ending = (*INDUSTRIES[branch][1], *_SHARED_ENDINGS)[draw % 4]
        names.append(stem + ending[:2])
        initials.append(spelled + ending[2:])
    return names, initials
