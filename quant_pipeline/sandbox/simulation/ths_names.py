"""Made-up names of THS boards: concepts by combination, parts of industries, and the boards of its own."""

from __future__ import annotations

from collections.abc import Sequence

_THEMES = (
    *("人工智能", "低空经济", "机器人", "商业航天", "固态电池", "量子科技", "脑机接口", "可控核聚变", "数据要素", "新质生产力"),
    *("光伏", "储能", "锂电池", "钠离子电池", "氢能源", "核电", "海上风电", "特高压", "智能电网", "虚拟电厂", "充电桩"),
    *(
        "芯片",
        "先进封装",
        "存储芯片",
        "光刻胶",
        "第三代半导体",
        "汽车芯片",
        "共封装光学",
        "印制电路板",
        "液冷服务器",
        "算力租赁",
    ),
    *(
        "云计算",
        "边缘计算",
        "大数据",
        "东数西算",
        "信创",
        "网络安全",
        "工业互联网",
        "工业母机",
        "数字孪生",
        "区块链",
        "数字货币",
    ),
    *(
        "元宇宙",
        "虚拟现实",
        "智能眼镜",
        "智能穿戴",
        "智能家居",
        "消费电子",
        "柔性屏",
        "超高清视频",
        "卫星导航",
        "第六代移动通信",
    ),
    *("新能源汽车", "无人驾驶", "车联网", "汽车热管理", "一体化压铸", "飞行汽车", "大飞机", "无人机", "军民融合", "船舶制造"),
    *("创新药", "减肥药", "细胞免疫", "基因测序", "高端医疗器械", "医美", "中药", "疫苗", "辅助生殖", "养老", "互联网医疗"),
    *(
        "预制菜",
        "乳制品",
        "啤酒",
        "种业",
        "养猪",
        "宠物经济",
        "乡村振兴",
        "跨境电商",
        "直播电商",
        "短剧",
        "网络游戏",
        "电子竞技",
    ),
    *(
        "冰雪产业",
        "体育",
        "免税",
        "首发经济",
        "银发经济",
        "一带一路",
        "国企改革",
        "自贸区",
        "长三角一体化",
        "雄安新区",
        "海南自贸港",
    ),
    *("碳中和", "节能环保", "污水处理", "垃圾分类", "装配式建筑", "地下管网", "水利", "稀土永磁", "石墨烯", "碳纤维", "超导"),
    *(
        "黄金",
        "有机硅",
        "磷化工",
        "氟化工",
        "煤化工",
        "可降解塑料",
        "合成生物",
        "盐湖提锂",
        "金属回收",
        "华为",
        "苹果",
        "小米",
        "特斯拉",
    ),
)
_ASPECTS = ("{}概念", "{}产业链", "{}龙头", "{}应用")
_PARTS = ("{}", "{}服务", "其他{}")

MOST_CONCEPTS = len(_THEMES) * len(_ASPECTS)
PARTS_OF_AN_INDUSTRY = len(_PARTS)


def concepts(order: Sequence[int]) -> list[str]:
    """Names of concepts, all different: `order` are places below MOST_CONCEPTS."""
    return [_ASPECTS[place // len(_THEMES)].format(_THEMES[place % len(_THEMES)]) for place in order]


def parts_of_industries(industries: Sequence[str], parts: int) -> list[str]:
    """Each industry's boards: one after the other, `parts` of each."""
    return [part.format(industry) for industry in industries for part in _PARTS[:parts]]
