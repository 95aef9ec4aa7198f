def test_x(warehouse):
    with warehouse.connect() as c:
        assert c.execute("select count(*) from daily_kline").fetchone()==(0,)
def test_y(warehouse):
    pass
