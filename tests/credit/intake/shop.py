"""A small data set with two linked tables, for tests of reading and validation."""

from __future__ import annotations

SCHEMA = """
dataset = { name = "shop", id = "id", time = "", table = "orders", files = ["orders_train"] }
target = { column = "bad", bad = 1 }
columns.bad = { type = "flag", use = "none" }
columns.age = { type = "integer", range = [18, 110], severity = "reject" }
columns.income = { type = "money", range = [0, 1000000] }
columns.share = { type = "ratio" }
columns.days = { type = "integer", range = [-9999, 0], severity = "reject", sentinels = [365243] }
columns.job = { type = "category", levels = ["clerk", "smith"] }
columns.owner = { type = "flag" }
columns.since = { type = "date" }
columns.extra = { type = "ratio", required = false }

[tables.loans]
key = ["loan"]
parent = "id"
columns.loan = { type = "id", required = true }
columns.id = { type = "id", required = true }
columns.amount = { type = "money" }

[tables.months]
key = ["loan", "month"]
parent = "loan"
parent_table = "loans"
columns.loan = { type = "id", required = true }
columns.month = { type = "integer" }
columns.state = { type = "category" }
"""

HEADER = "id,age,income,share,days,job,owner,since,extra"
ROW = "{id},40,1000.5,0.25,-30,clerk,1,2020-01-31,0.5"
