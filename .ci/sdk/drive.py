"""Drives Segment's published SDK for Python against a running Rapport, plain and with gzip.

RAPPORT_URL, RAPPORT_WRITE_KEY, RAPPORT_API_KEY
"""
import json
import os
import urllib.request

from segment.analytics.client import Client

url, write_key, api_key = (os.environ[name] for name in ("RAPPORT_URL", "RAPPORT_WRITE_KEY", "RAPPORT_API_KEY"))


def api(path, body=None):
    request = urllib.request.Request(
        url + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"authorization": f"Bearer {api_key}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


errors = []
expected = []
for form in ("plain", "gzip"):
    client = Client(write_key, host=url, gzip=form == "gzip", on_error=lambda error, items: errors.append(error))
    user = f"sdk-python-{form}"
    client.identify(user, {"email": f"{user}@inbox.example"}, message_id=f"{user}-identify")
    client.track(user, "Order Completed", {"revenue": 9.9}, message_id=f"{user}-track")
    client.page(user, "Shop", "Home", {"url": "https://shop.example/"}, message_id=f"{user}-page")
    client.screen(user, "App", "Start", message_id=f"{user}-screen")
    client.group(user, "sdk-team", {"name": "Team"}, message_id=f"{user}-group")
    client.alias(f"{user}-old", user, message_id=f"{user}-alias")
    client.flush()
    client.join()
    expected += [f"{user}-{name}" for name in ("identify", "track", "page", "screen", "group", "alias")]

assert not errors, errors
sql = "SELECT message_id, count(*) FROM events WHERE message_id LIKE 'sdk-python-%' GROUP BY message_id"
rows = api("/api/query", {"sql": sql})["rows"]
assert sorted(rows) == sorted([name, 1] for name in expected), rows
print(f"segment-analytics-python: {len(expected)} calls, each there once, plain and with gzip")
