"""Computes RFM scores, groups and repeated purchases of Online Retail with pandas, and compares them with ours.

Usage: predictions.py online_retail.csv.gz rfm.json
"""
import json
import sys

import pandas as pd

GRID = {
    5: ["new", "potential loyalist", "potential loyalist", "champions", "champions"],
    4: ["promising", "potential loyalist", "potential loyalist", "loyal", "loyal"],
    3: ["about to sleep", "about to sleep", "needs attention", "loyal", "loyal"],
    2: ["hibernating", "hibernating", "at risk", "at risk", "cannot lose"],
    1: ["lost", "lost", "at risk", "at risk", "cannot lose"],
}


def fifths(values: pd.Series) -> pd.Series:
    below = values.rank(method="min").astype(int) - 1
    return 1 + (5 * below) // len(values)


rows = pd.read_csv(sys.argv[1], dtype={"InvoiceNo": str, "StockCode": str}, parse_dates=["InvoiceDate"])
rows = rows[rows.CustomerID.notna() & ~rows.InvoiceNo.str.startswith("C") & (rows.Quantity > 0) & (rows.UnitPrice > 0)]
# Prices are exact to a thousandth: whole thousandths add up without a rounding that depends on the order.
rows = rows.assign(value=rows.Quantity * (rows.UnitPrice * 1000).round().astype("int64"))
orders = rows.groupby("InvoiceNo").agg(customer=("CustomerID", "first"), at=("InvoiceDate", "min"), value=("value", "sum"))
customers = orders.groupby("customer").agg(last=("at", "max"), orders=("at", "size"), value=("value", "sum"))
customers["recency"] = fifths(customers["last"])
customers["frequency"] = fifths(customers["orders"])
customers["monetary"] = fifths(customers["value"])
customers["group"] = [GRID[r][f - 1] for r, f in zip(customers.recency, customers.frequency)]
customers.index = customers.index.astype(int).astype(str)

ours = json.load(open(sys.argv[2]))
found = pd.DataFrame(ours["customers"]).set_index("user_id").reindex(customers.index)
wrong = 0
for theirs, mine in [
    ("orders", "orders"),
    ("recency", "rfm_recency"),
    ("frequency", "rfm_frequency"),
    ("monetary", "rfm_monetary"),
    ("group", "rfm_group"),
]:
    different = customers[customers[theirs] != found[mine]]
    wrong += len(different)
    print(f"{mine}: {len(customers) - len(different)} of {len(customers)} customers agree")
    for name in different.index[:5]:
        print(f"  customer {name}: {customers[theirs][name]} by pandas, {found[mine][name]} by us")
spent = (customers["value"] / 1000 - found["total"]).abs().max()
repeats = int((customers.orders > 1).sum())
print(f"total: at most {spent:.6f} apart; customers with more than one order: {repeats}, ours {ours['report']['repeat_customers']}")
groups = customers.groupby("group").size()
for group in ours["report"]["groups"]:
    agree = group["count"] == int(groups.get(group["name"], 0))
    wrong += not agree
    print(f"  {group['name']}: {groups.get(group['name'], 0)}, ours {group['count']}")
if wrong or spent > 0.005 or repeats != ours["report"]["repeat_customers"] or len(ours["customers"]) != len(customers):
    sys.exit("RFM differs from pandas")
